"""The thread that works on the newest image."""

import threading

from xview_localizer.ros.worker import NewestItemWorker

GIVE_UP_SEC = 30.0  # only a failing test waits for it


def test_a_newer_item_replaces_the_one_that_waits_and_that_is_told():
    begun, finished, may_end = threading.Semaphore(0), threading.Semaphore(0), threading.Event()
    worked_on, dropped = [], []

    def process(item, worker):
        begun.release()
        may_end.wait(GIVE_UP_SEC)
        worked_on.append(item)
        finished.release()

    worker = NewestItemWorker(process, lambda: dropped.append(True))
    worker.submit("first")
    assert begun.acquire(timeout=GIVE_UP_SEC)
    worker.submit("second")
    worker.submit("third")
    may_end.set()
    assert all(finished.acquire(timeout=GIVE_UP_SEC) for _ in range(2))
    assert (worked_on, dropped) == (["first", "third"], [True])
    assert worker.stop(GIVE_UP_SEC)


def test_a_wait_ends_with_the_work():
    begun, waited = threading.Event(), []

    def process(item, worker):
        begun.set()
        waited.append(worker.wait_until(lambda: False, GIVE_UP_SEC))

    worker = NewestItemWorker(process)
    worker.submit("image")
    assert begun.wait(GIVE_UP_SEC)
    assert worker.stop(GIVE_UP_SEC / 2)
    assert waited == [False]
