"""Peak resident memory of a command and all its descendants: python tests/benchmarks/memory.py COMMAND [ARGUMENT ...].

RSS counts a page once a process that has touched it, so memory-mapped views count once a worker; PSS shares them out.
"""

import sys
import time

import psutil


def main() -> None:
    process = psutil.Popen(sys.argv[1:])
    peak_rss = peak_pss = 0
    while process.poll() is None:
        rss = pss = 0
        for member in (process, *process.children(recursive=True)):
            try:
                memory = member.memory_full_info()
            except psutil.Error:
                continue  # ended between listing and reading
            rss, pss = rss + memory.rss, pss + memory.pss
        peak_rss, peak_pss = max(peak_rss, rss), max(peak_pss, pss)
        time.sleep(1)
    print(f"peak over all processes: RSS {peak_rss / 2**30:.2f} GiB, PSS {peak_pss / 2**30:.2f} GiB")
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
