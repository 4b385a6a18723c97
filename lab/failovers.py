"""failovers.py LAB : what is tried on the real control planes, one scenario after the other."""
import sys
import time

import lost_broker
import planned_failover
import scenario
import unplanned_failover


def main():
    began = time.time()
    world = scenario.prepare()
    seconds = {'planned': round(planned_failover.run(world), 1), 'unplanned': round(unplanned_failover.run(world), 1)}
    reconnected = round(lost_broker.run(), 1)
    return scenario.finish(began, seconds, reconnected)


if __name__ == '__main__':
    sys.exit(main())
