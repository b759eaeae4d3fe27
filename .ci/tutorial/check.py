#!/usr/bin/env python3
"""check.py PAGE ADDRESS: runs the Python blocks of a Markdown page, in their order and in one namespace, against the server at ADDRESS.

What a block prints must be the text block that follows it. The pages say 127.0.0.1:2181; here that is ADDRESS.
"""
import contextlib
import difflib
import io
import re
import sys
import traceback

BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)


def main():
    page, address = sys.argv[1:]
    text = open(page).read()
    namespace = {"__name__": "__main__"}
    blocks = failed = 0
    for block in BLOCK.finditer(text):
        blocks += 1
        line = text.count("\n", 0, block.start(1)) + 1
        code = "\n" * (line - 1) + block[1].replace("127.0.0.1:2181", address)
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(code, page, "exec"), namespace)
        except BaseException:
            traceback.print_exc()
            sys.exit("%s:%d: the block failed; it had printed:\n%s" % (page, line, printed.getvalue()))
        expected, got = (block[2] or "").splitlines(), printed.getvalue().splitlines()
        if expected != got:
            failed += 1
            print("%s:%d: prints something else than the page says" % (page, line))
            print("\n".join(difflib.unified_diff(expected, got, "page", "printed", lineterm="")))
    if failed or not blocks:
        sys.exit("%s: %d of %d blocks differ" % (page, failed, blocks))
    print("ok: %s, %d blocks" % (page, blocks))


main()
