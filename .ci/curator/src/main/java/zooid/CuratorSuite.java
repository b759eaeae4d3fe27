package zooid;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryOneTime;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.data.Stat;

/** Runs recipes of Curator against the server named by the first argument; each case is a method, and a failed one throws. */
public final class CuratorSuite {
    private static final long WAIT_SECONDS = 20;
    private static String address;

    private interface Case {
        void run() throws Exception;
    }

    public static void main(String[] args) throws Exception {
        address = args[0];
        int failed = 0;
        failed += run("leader latch passes leadership on", CuratorSuite::leaderLatch);
        failed += run("mutex: one holder among eight threads of four clients", CuratorSuite::mutex);
        failed += run("mutex is reentrant and times out", CuratorSuite::mutexReentrant);
        failed += run("read-write lock and semaphore", CuratorSuite::readWriteLock);
        failed += run("CuratorCache follows a tree", CuratorSuite::curatorCache);
        failed += run("TreeCache follows a tree", CuratorSuite::treeCache);
        failed += run("PathChildrenCache follows the children", CuratorSuite::pathChildrenCache);
        failed += run("TTL and container znodes come and go", CuratorSuite::ttlAndContainer);
        failed += run("transactions are all or nothing", CuratorSuite::transactions);
        failed += run("persistent watches stay and can be removed", CuratorSuite::persistentWatches);
        failed += run("protected names are found again", CuratorSuite::protectedNames);
        failed += run("counter, queue and double barrier", CuratorSuite::counterQueueBarrier);
        failed += run("an expired session is lost, ephemerals go, the client comes back", CuratorSuite::sessionLoss);
        if (failed > 0) {
            System.out.println(failed + " failed");
            System.exit(1);
        }
        System.out.println("ok: all cases passed");
        System.exit(0);
    }

    private static int run(String name, Case body) {
        long start = System.nanoTime();
        String result = "ok  ";
        try {
            body.run();
        } catch (Throwable e) {
            result = "FAIL";
            e.printStackTrace(System.out);
        }
        System.out.printf("%s %5d ms  %s%n", result, (System.nanoTime() - start) / 1_000_000, name);
        return result.equals("ok  ") ? 0 : 1;
    }

    private static void check(boolean condition, String message) {
        if (!condition) {
            throw new AssertionError(message);
        }
    }

    private static void equal(Object want, Object got) {
        check(want.equals(got), "want " + want + ", got " + got);
    }

    private static void await(String what, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
        while (!condition.getAsBoolean()) {
            check(System.nanoTime() < end, "waited in vain: " + what);
            Thread.sleep(10);
        }
    }

    private static CuratorFramework connect() throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder().connectString(address).sessionTimeoutMs(10_000).connectionTimeoutMs(10_000)
                .retryPolicy(new ExponentialBackoffRetry(100, 5)).build();
        client.start();
        check(client.blockUntilConnected(15, TimeUnit.SECONDS), "no connection to " + address);
        return client;
    }

    private static byte[] bytes(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    private static void leaderLatch() throws Exception {
        List<CuratorFramework> clients = new ArrayList<>();
        List<LeaderLatch> latches = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            clients.add(connect());
            latches.add(new LeaderLatch(clients.get(i), "/latch", "candidate-" + i));
            latches.get(i).start();
        }
        Set<LeaderLatch> led = new HashSet<>();
        while (!latches.isEmpty()) {
            await("a leader", () -> latches.stream().anyMatch(LeaderLatch::hasLeadership));
            List<LeaderLatch> leaders = latches.stream().filter(LeaderLatch::hasLeadership).toList();
            equal(1, leaders.size());
            equal(leaders.get(0).getId(), latches.get(0).getLeader().getId());
            check(led.add(leaders.get(0)), "led twice");
            latches.remove(leaders.get(0));
            if (led.size() % 2 == 0) {
                leaders.get(0).close();
            } else { // its session ends, not the latch
                for (CuratorFramework client : clients) {
                    if (leaders.get(0).getId().equals("candidate-" + clients.indexOf(client))) {
                        client.close();
                    }
                }
            }
        }
        equal(5, led.size());
        clients.forEach(CuratorFramework::close);
    }

    private static void mutex() throws Exception {
        List<CuratorFramework> clients = List.of(connect(), connect(), connect(), connect());
        AtomicInteger holders = new AtomicInteger();
        AtomicInteger entered = new AtomicInteger();
        ConcurrentLinkedQueue<Throwable> wrong = new ConcurrentLinkedQueue<>();
        List<Thread> threads = new ArrayList<>();
        int rounds = 15;
        for (int i = 0; i < 8; i++) {
            InterProcessMutex mutex = new InterProcessMutex(clients.get(i % clients.size()), "/mutex");
            Thread thread = new Thread(() -> {
                try {
                    for (int round = 0; round < rounds; round++) {
                        check(mutex.acquire(60, TimeUnit.SECONDS), "not acquired in time");
                        try {
                            equal(1, holders.incrementAndGet());
                            entered.incrementAndGet();
                            holders.decrementAndGet();
                        } finally {
                            mutex.release();
                        }
                    }
                } catch (Throwable e) {
                    wrong.add(e);
                }
            });
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join(90_000);
        }
        check(wrong.isEmpty(), "in a thread: " + wrong);
        equal(8 * rounds, entered.get());
        equal(0, clients.get(0).getChildren().forPath("/mutex").size());
        clients.forEach(CuratorFramework::close);
    }

    private static void mutexReentrant() throws Exception {
        try (CuratorFramework a = connect(); CuratorFramework b = connect()) {
            InterProcessMutex one = new InterProcessMutex(a, "/reentrant");
            InterProcessMutex two = new InterProcessMutex(b, "/reentrant");
            one.acquire();
            one.acquire();
            check(!two.acquire(300, TimeUnit.MILLISECONDS), "acquired what another holds");
            one.release();
            check(!two.acquire(300, TimeUnit.MILLISECONDS), "acquired what another still holds");
            equal(1, a.getChildren().forPath("/reentrant").size());
            one.release();
            check(two.acquire(WAIT_SECONDS, TimeUnit.SECONDS), "not acquired though free");
            two.release();
        }
    }

    private static void readWriteLock() throws Exception {
        try (CuratorFramework a = connect(); CuratorFramework b = connect()) {
            InterProcessReadWriteLock one = new InterProcessReadWriteLock(a, "/rw");
            InterProcessReadWriteLock two = new InterProcessReadWriteLock(b, "/rw");
            one.readLock().acquire();
            check(two.readLock().acquire(WAIT_SECONDS, TimeUnit.SECONDS), "two readers");
            check(!two.writeLock().acquire(300, TimeUnit.MILLISECONDS), "a writer beside readers");
            one.readLock().release();
            two.readLock().release();
            check(two.writeLock().acquire(WAIT_SECONDS, TimeUnit.SECONDS), "a lone writer");
            check(!one.readLock().acquire(300, TimeUnit.MILLISECONDS), "a reader beside a writer");
            two.writeLock().release();

            InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(a, "/semaphore", 2);
            var leases = semaphore.acquire(2);
            check(semaphore.acquire(300, TimeUnit.MILLISECONDS) == null, "a third lease of two");
            semaphore.returnAll(leases);
            semaphore.returnLease(semaphore.acquire(WAIT_SECONDS, TimeUnit.SECONDS));
        }
    }

    private static void curatorCache() throws Exception {
        try (CuratorFramework client = connect()) {
            client.create().creatingParentsIfNeeded().forPath("/cache/before/deep", bytes("0"));
            BlockingQueue<String> seen = new LinkedBlockingQueue<>();
            CuratorCache cache = CuratorCache.build(client, "/cache");
            CountDownLatch ready = new CountDownLatch(1);
            cache.listenable().addListener(CuratorCacheListener.builder().forInitialized(ready::countDown).build());
            cache.listenable().addListener(CuratorCacheListener.builder().afterInitialized()
                    .forCreates(node -> seen.add("create " + node.getPath()))
                    .forChanges((old, node) -> seen.add("change " + node.getPath() + " " + new String(node.getData(), StandardCharsets.UTF_8)))
                    .forDeletes(node -> seen.add("delete " + node.getPath())).build());
            cache.start();
            check(ready.await(WAIT_SECONDS, TimeUnit.SECONDS), "the cache is not ready");
            check(cache.get("/cache/before/deep").isPresent(), "the cache lacks what was there");
            client.create().forPath("/cache/new", bytes("1"));
            equal("create /cache/new", seen.poll(WAIT_SECONDS, TimeUnit.SECONDS));
            client.setData().forPath("/cache/new", bytes("2"));
            equal("change /cache/new 2", seen.poll(WAIT_SECONDS, TimeUnit.SECONDS));
            client.setData().forPath("/cache/before/deep", bytes("3"));
            equal("change /cache/before/deep 3", seen.poll(WAIT_SECONDS, TimeUnit.SECONDS));
            client.delete().forPath("/cache/new");
            equal("delete /cache/new", seen.poll(WAIT_SECONDS, TimeUnit.SECONDS));
            equal(3, cache.size());
            for (int i = 0; i < 200; i++) {
                client.create().inBackground().forPath("/cache/many-" + i, bytes("x"));
            }
            await("200 more in the cache", () -> cache.size() == 203);
            cache.close();
        }
    }

    private static void treeCache() throws Exception {
        try (CuratorFramework client = connect()) {
            client.create().creatingParentsIfNeeded().forPath("/tree/a/b/c", bytes("0"));
            TreeCache cache = TreeCache.newBuilder(client, "/tree").setCacheData(true).build();
            cache.start();
            await("the tree", () -> cache.getCurrentData("/tree/a/b/c") != null);
            client.setData().forPath("/tree/a/b/c", bytes("1"));
            client.create().forPath("/tree/a/b/d");
            await("change and creation", () -> new String(cache.getCurrentData("/tree/a/b/c").getData(), StandardCharsets.UTF_8).equals("1")
                    && cache.getCurrentData("/tree/a/b/d") != null);
            client.delete().deletingChildrenIfNeeded().forPath("/tree/a");
            await("deletion", () -> cache.getCurrentData("/tree/a") == null && cache.getCurrentChildren("/tree").isEmpty());
            cache.close();
        }
    }

    private static void pathChildrenCache() throws Exception {
        try (CuratorFramework client = connect()) {
            client.create().forPath("/children");
            client.create().forPath("/children/one", bytes("1"));
            PathChildrenCache cache = new PathChildrenCache(client, "/children", true);
            cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            equal(1, cache.getCurrentData().size());
            BlockingQueue<String> seen = new LinkedBlockingQueue<>();
            cache.getListenable().addListener((c, event) -> {
                if (event.getData() != null) {
                    seen.add(event.getType() + " " + event.getData().getPath());
                }
            });
            client.create().forPath("/children/two", bytes("2"));
            equal("CHILD_ADDED /children/two", seen.poll(WAIT_SECONDS, TimeUnit.SECONDS));
            client.setData().forPath("/children/one", bytes("3"));
            equal("CHILD_UPDATED /children/one", seen.poll(WAIT_SECONDS, TimeUnit.SECONDS));
            client.delete().forPath("/children/two");
            equal("CHILD_REMOVED /children/two", seen.poll(WAIT_SECONDS, TimeUnit.SECONDS));
            cache.close();
        }
    }

    private static void ttlAndContainer() throws Exception {
        try (CuratorFramework client = connect()) {
            client.create().withTtl(1000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/ttl", bytes("x"));
            String sequential = client.create().withTtl(600_000).withMode(CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL).forPath("/ttl-", bytes("x"));
            check(sequential.matches("/ttl-\\d{10}"), sequential);
            client.create().withMode(CreateMode.CONTAINER).forPath("/container");
            client.create().forPath("/container/child");
            client.delete().forPath("/container/child");
            await("the end of the TTL", () -> missing(client, "/ttl"));
            await("the end of the empty container", () -> missing(client, "/container"));
            check(!missing(client, sequential), "a TTL of ten minutes ended early");
            try {
                client.create().withTtl(-1).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/ttl-negative");
                check(false, "a negative TTL was taken");
            } catch (KeeperException.BadArgumentsException | IllegalArgumentException expected) {
                // as it should be
            }
            PersistentTtlNode node = new PersistentTtlNode(client, "/ttl-node", 2000, bytes("y"));
            node.start();
            check(node.waitForInitialCreate(WAIT_SECONDS, TimeUnit.SECONDS), "no PersistentTtlNode");
            Thread.sleep(3000); // longer than its TTL: it is touched all the while
            check(!missing(client, "/ttl-node"), "the touched TTL znode has gone");
            node.close();
        }
    }

    private static boolean missing(CuratorFramework client, String path) {
        try {
            return client.checkExists().forPath(path) == null;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private static void transactions() throws Exception {
        try (CuratorFramework client = connect()) {
            List<CuratorTransactionResult> results = client.transaction().forOperations(
                    client.transactionOp().create().forPath("/tx", bytes("0")),
                    client.transactionOp().create().forPath("/tx/child", bytes("1")),
                    client.transactionOp().setData().withVersion(0).forPath("/tx", bytes("2")),
                    client.transactionOp().check().withVersion(1).forPath("/tx"),
                    client.transactionOp().delete().forPath("/tx/child"));
            equal(5, results.size());
            equal("/tx", results.get(0).getResultPath());
            equal(1, results.get(2).getResultStat().getVersion());
            Stat stat = client.checkExists().forPath("/tx");
            equal(stat.getMzxid(), stat.getPzxid());
            equal(stat.getCzxid(), stat.getMzxid());
            try {
                client.transaction().forOperations(
                        client.transactionOp().create().forPath("/tx/other"),
                        client.transactionOp().check().withVersion(77).forPath("/tx"));
                check(false, "a failed check was ignored");
            } catch (KeeperException.BadVersionException e) {
                equal(2, e.getResults().size());
            }
            check(missing(client, "/tx/other"), "half of a transaction");
        }
    }

    private static void persistentWatches() throws Exception {
        // Two clients: a session has one mode for a path, and Apache ZooKeeper keeps the one that was asked for last.
        try (CuratorFramework client = connect(); CuratorFramework other = connect()) {
            BlockingQueue<WatchedEvent> plain = new LinkedBlockingQueue<>();
            BlockingQueue<WatchedEvent> recursive = new LinkedBlockingQueue<>();
            client.watchers().add().withMode(AddWatchMode.PERSISTENT).usingWatcher((org.apache.zookeeper.Watcher) plain::add).forPath("/watched");
            other.watchers().add().withMode(AddWatchMode.PERSISTENT_RECURSIVE).usingWatcher((org.apache.zookeeper.Watcher) recursive::add).forPath("/watched");
            client.create().forPath("/watched");
            client.create().forPath("/watched/child");
            client.setData().forPath("/watched/child", bytes("1"));
            client.setData().forPath("/watched", bytes("1"));
            client.setData().forPath("/watched", bytes("2"));
            client.delete().forPath("/watched/child");
            for (EventType type : List.of(EventType.NodeCreated, EventType.NodeChildrenChanged, EventType.NodeDataChanged, EventType.NodeDataChanged,
                    EventType.NodeChildrenChanged)) {
                WatchedEvent event = plain.poll(WAIT_SECONDS, TimeUnit.SECONDS);
                equal(type + " /watched", event.getType() + " " + event.getPath());
            }
            for (String want : List.of("NodeCreated /watched", "NodeCreated /watched/child", "NodeDataChanged /watched/child", "NodeDataChanged /watched",
                    "NodeDataChanged /watched", "NodeDeleted /watched/child")) {
                WatchedEvent event = recursive.poll(WAIT_SECONDS, TimeUnit.SECONDS);
                equal(want, event.getType() + " " + event.getPath());
            }
            client.watchers().removeAll().forPath("/watched");
            other.watchers().removeAll().forPath("/watched");
            equal(EventType.PersistentWatchRemoved, plain.poll(WAIT_SECONDS, TimeUnit.SECONDS).getType());
            equal(EventType.PersistentWatchRemoved, recursive.poll(WAIT_SECONDS, TimeUnit.SECONDS).getType());
            client.setData().forPath("/watched", bytes("3"));
            client.sync().forPath("/watched");
            check(plain.isEmpty() && recursive.isEmpty(), "an event after removal");
        }
    }

    private static void protectedNames() throws Exception {
        try (CuratorFramework client = connect()) {
            String path = client.create().creatingParentsIfNeeded().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/protected/n-");
            check(path.matches("/protected/_c_[0-9a-f-]{36}-n-\\d{10}"), path);
            PersistentNode node = new PersistentNode(client, CreateMode.EPHEMERAL, true, "/protected/node", bytes("z"));
            node.start();
            check(node.waitForInitialCreate(WAIT_SECONDS, TimeUnit.SECONDS), "no PersistentNode");
            client.delete().forPath(node.getActualPath()); // it is made again
            await("the node to come back", () -> !missing(client, node.getActualPath()));
            node.close();
        }
    }

    private static void counterQueueBarrier() throws Exception {
        try (CuratorFramework a = connect(); CuratorFramework b = connect()) {
            DistributedAtomicLong one = new DistributedAtomicLong(a, "/counter", new RetryOneTime(10));
            DistributedAtomicLong two = new DistributedAtomicLong(b, "/counter", new RetryOneTime(10));
            for (int i = 0; i < 10; i++) {
                check(one.increment().succeeded() && two.add(2L).succeeded(), "not counted");
            }
            equal(30L, one.get().postValue());

            SimpleDistributedQueue queue = new SimpleDistributedQueue(a, "/queue");
            for (int i = 0; i < 10; i++) {
                queue.offer(bytes("" + i));
            }
            SimpleDistributedQueue other = new SimpleDistributedQueue(b, "/queue");
            for (int i = 0; i < 10; i++) {
                equal("" + i, new String(other.take(), StandardCharsets.UTF_8));
            }

            AtomicInteger inside = new AtomicInteger();
            List<Thread> threads = new ArrayList<>();
            for (CuratorFramework client : List.of(a, b)) {
                Thread thread = new Thread(() -> {
                    try {
                        DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(client, "/barrier", 2);
                        check(barrier.enter(WAIT_SECONDS, TimeUnit.SECONDS), "not entered");
                        inside.incrementAndGet();
                        check(barrier.leave(WAIT_SECONDS, TimeUnit.SECONDS), "not left");
                    } catch (Throwable e) {
                        inside.addAndGet(-100);
                    }
                });
                threads.add(thread);
                thread.start();
            }
            for (Thread thread : threads) {
                thread.join(60_000);
            }
            equal(2, inside.get());
        }
    }

    private static void sessionLoss() throws Exception {
        try (CuratorFramework client = connect(); CuratorFramework observer = connect()) {
            BlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();
            client.getConnectionStateListenable().addListener((c, state) -> states.add(state));
            PersistentNode node = new PersistentNode(client, CreateMode.EPHEMERAL, false, "/lost", bytes("l"));
            node.start();
            check(node.waitForInitialCreate(WAIT_SECONDS, TimeUnit.SECONDS), "no ephemeral znode");
            InterProcessMutex mutex = new InterProcessMutex(client, "/lost-mutex");
            mutex.acquire();
            InterProcessMutex next = new InterProcessMutex(observer, "/lost-mutex");
            check(!next.acquire(300, TimeUnit.MILLISECONDS), "acquired what another holds");
            long session = client.getZookeeperClient().getZooKeeper().getSessionId();
            byte[] password = client.getZookeeperClient().getZooKeeper().getSessionPasswd();

            // A second handle takes the session over and closes it: to the server the session has ended, and the first client has to hear of it.
            CountDownLatch taken = new CountDownLatch(1);
            var thief = new org.apache.zookeeper.ZooKeeper(address, 10_000, event -> {
                if (event.getState() == org.apache.zookeeper.Watcher.Event.KeeperState.SyncConnected) {
                    taken.countDown();
                }
            }, session, password);
            check(taken.await(WAIT_SECONDS, TimeUnit.SECONDS), "the session could not be taken over");
            equal(session, thief.getSessionId());
            thief.close();

            check(next.acquire(WAIT_SECONDS, TimeUnit.SECONDS), "the lock of a lost session is not free");
            next.release();
            List<ConnectionState> order = new ArrayList<>();
            while (!order.contains(ConnectionState.LOST)) {
                ConnectionState state = states.poll(WAIT_SECONDS, TimeUnit.SECONDS);
                check(state != null, "LOST never came, only " + order);
                order.add(state);
            }
            equal(ConnectionState.SUSPENDED, order.get(0));
            ConnectionState last;
            do {
                last = states.poll(WAIT_SECONDS, TimeUnit.SECONDS);
                check(last != null, "RECONNECTED never came");
            } while (last != ConnectionState.RECONNECTED);
            check(client.getZookeeperClient().getZooKeeper().getSessionId() != session, "the same session came back");
            await("the ephemeral znode made again", () -> node.getActualPath() != null && !missing(observer, "/lost"));
            equal(client.getZookeeperClient().getZooKeeper().getSessionId(), observer.checkExists().forPath("/lost").getEphemeralOwner());
            check(client.getACL().forPath("/lost").equals(ZooDefs.Ids.OPEN_ACL_UNSAFE), "the default ACL");
            node.close();
        }
    }
}
