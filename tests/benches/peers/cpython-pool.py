"""CPython's concurrent.futures with a process for each processor, as a program that uses it would.

cpython-pool.py QUEUED    prints what ../pool/main.rs prints
"""
import concurrent.futures
import os
import sys
import time

JOBS, TIMES, LENGTH = 10_000, 500, 0.002


def answer(message):
    return message


def spin(message):
    end = time.monotonic() + LENGTH
    while time.monotonic() < end:
        pass
    return message


def urgent(pool, queued):
    """There are no priorities, so what is urgent waits for all; once is enough to see that."""
    for _ in range(queued):
        pool.submit(spin, "")
    begin = time.monotonic()
    pool.submit(answer, "").result()
    return (time.monotonic() - begin) * 1e3


def main():
    queued = int(sys.argv[1])
    workers = len(os.sched_getaffinity(0))
    with concurrent.futures.ProcessPoolExecutor(workers) as pool:
        for started in [pool.submit(spin, "") for _ in range(workers)]:
            started.result()
        if queued:
            begin = time.monotonic()
            for done in [pool.submit(answer, "x" * 64) for _ in range(JOBS)]:
                done.result()
            print(f"jobs {JOBS / (time.monotonic() - begin):.3f}")
        times = sorted(urgent(pool, queued) for _ in range(1 if queued else TIMES))
        print(f"urgent_p50 {times[len(times) // 2]:.6f}")
        print(f"urgent_p99 {times[len(times) * 99 // 100]:.6f}")


if __name__ == "__main__":
    main()
