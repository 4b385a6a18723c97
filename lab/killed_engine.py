"""A failover whose engine is killed in its middle: SIGKILL, and started again."""
import collections
import concurrent.futures
import time

from scenario import check, client, json_of, lab_sh, say

# What lab/protector/protector.conf says of a dead engine's work, and how soon after that it has to go on.
LEASE = 5
GOES_ON = 5
# By then half of it is done: the servers are stopped or given up for lost, and volumes come to be on the other site.
MIDDLE = ('import-volume', 'hand-over-volume')

Outcome = collections.namedtuple('Outcome', 'code out err seconds')


def operation_of(tenant, group):
    """The group's failover, with its steps, as the API shows it; None while there is none."""
    found = [o for o in json_of(tenant, 'protector', '/operations')['operations'] if o['protection_group'] == group]
    return found[0] if found else None


def working(operation):
    return [s['name'] for s in operation['steps'] if s['state'] == 'running']


def failover(name, tenant, cloud, group, *words):
    """Orders a failover at the site of `cloud`, whose engine does the work, and kills that engine in the middle of it."""
    began = time.time()
    command = ['protector', 'protection-group', 'failover', group, *words, '--wait', '-f', 'json']
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        ordered = pool.submit(client, cloud, *command, fail=False)
        killed_in = kill(tenant, cloud[-1], group, ordered)
        code, out, err = ordered.result()
    check('%s_is_killed_in_the_middle' % name, killed_in and killed_in['status'] == 'running' and 0 < killed_in['progress'] < 100,
          killed_in or 'it was over before it was seen at work on %s' % (MIDDLE,))
    if killed_in:
        took = killed_in['went_on_after']
        say('killed at %s; it went on %s s after the restart' % (killed_in['at'], took))
        check('%s_goes_on_within_seconds_of_its_engines_return' % name, took is not None and took <= LEASE + GOES_ON, took)
    check('%s_completes_though_its_engine_was_killed' % name, code == 0 and killed_in, out[-1500:] + err[-1500:])
    return Outcome(code, out, err, time.time() - began)


def kill(tenant, site, group, ordered):
    """None if it was over before its middle was seen."""
    while not ordered.done():
        operation = operation_of(tenant, group)
        if operation and any(step.startswith(MIDDLE) for step in working(operation)):
            break
        time.sleep(0.05)
    else:
        return None
    lab_sh('engine', 'kill', site)
    left = operation_of(tenant, group)
    lab_sh('engine', 'start', site)
    started = time.time()
    found = {'status': left['status'], 'progress': left['progress'], 'at': working(left), 'went_on_after': None}
    while time.time() < started + 120:
        if operation_of(tenant, group) != left:
            found['went_on_after'] = round(time.time() - started, 1)
            break
        time.sleep(0.1)
    return found
