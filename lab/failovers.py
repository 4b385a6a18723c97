"""failovers.py LAB : what is tried on the real control planes, one scenario after the other."""
import sys
import time

import planned_failover
import scenario
import unplanned_failover


def main():
    began = time.time()
    world = scenario.prepare()
    seconds = {'planned': round(planned_failover.run(world), 1), 'unplanned': round(unplanned_failover.run(world), 1)}
    return scenario.finish(began, seconds)


if __name__ == '__main__':
    sys.exit(main())
