"""A sweep in one process, or in a pool: `python sweep.py PAR_DIR TRIALS one|fork|spawn`. Prints what it measured of itself."""
import functools, json, multiprocessing, os, sys, threading
from trial import trial

def held():
    """Threads, descriptors and children of this process."""
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children") as children:
        return threading.active_count(), len(os.listdir("/proc/self/fd")), len(children.read().split())

if __name__ == "__main__":
    par_dir, trials, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    growth = []
    if way == "one":
        for number in range(trials):
            trial(par_dir, number, 2)
            growth.append(held())
    else:
        with multiprocessing.get_context(way).Pool(2) as pool:
            pool.map(functools.partial(trial, par_dir, epochs=2), range(trials), chunksize=1)
            pool.close()
            pool.join()
    print("RESULT " + json.dumps({"held": growth}))
