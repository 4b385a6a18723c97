"""RabbitMQ dies and comes back: the database alone does meanwhile, and afterwards engines are woken through it again."""
import re
import time

import amqp

from scenario import BROKER, KEYSTONES, LAB, RUN, TYPE, await_policy, check, client, lab_sh, policy_options, protector, say, tokens, until

GROUP = 'stall-%s' % RUN
UNREACHABLE = re.compile(r'oslo\.messaging\._drivers\.impl_rabbit.* AMQP server on %s is unreachable: (\S.*)\. Trying again in (\d+) seconds\.\.\.'
                         % re.escape(BROKER))
BACK = 'Reconnected to AMQP server on %s' % BROKER
# The longest pause between two attempts is ten seconds, and the first may come while the broker is only just there.
RETURN = 20
# What of each cloud has to listen again before anything else may be asked of it.
CLOUD = ('conductor', 'scheduler', 'compute', 'cinder-scheduler', 'cinder-volume')


class Log:
    """What a program has written since."""

    def __init__(self, site, program):
        self.path = LAB / site / ('protector/log/protector-%s.log' % program)
        self.offset = self.path.stat().st_size

    def lines(self):
        return self.path.read_bytes()[self.offset:].decode(errors='replace').splitlines()

    def has(self, text):
        return any(text in line for line in self.lines())

    def complaints(self):
        """(reason, wait) of each line that says that the broker is away."""
        return [(found.group(1), int(found.group(2))) for found in map(UNREACHABLE.search, self.lines()) if found]


def logs():
    return {(site, program): Log(site, program) for site in KEYSTONES for program in ('api', 'engine')}


def listeners(site, queue):
    """How many consume from a queue, which is asked for and not made."""
    try:
        with amqp.Connection(host=BROKER, userid='lab', password='lab', virtual_host=site, connect_timeout=10, read_timeout=10) as broker:
            return broker.channel().queue_declare(queue, passive=True).consumer_count
    except (amqp.exceptions.AMQPError, OSError):
        return 0


def clouds_listen():
    return all(listeners(site, queue) for site in KEYSTONES for queue in CLOUD)


def groups():
    return {cloud: [g.get('name', g.get('Name')) for g in protector(cloud, 'protection-group', 'list')] for cloud in ('tenant-a', 'tenant-b')}


def run():
    """How many seconds the services of both protectors took to find back."""
    # Cinder makes its groups with the broker's help, an array's group needs nobody else: so this one is bound while there is none.
    protector('tenant-a', 'protection-group', 'create', '--name', GROUP, '--replication-type', 'async', '--primary-site', 'site-a',
              '--secondary-site', 'site-b', '--volume-type', TYPE, '--wait')
    say('the broker is gone')
    away = logs()
    lab_sh('broker', 'kill')
    until('api_and_engine_say_that_their_broker_is_away', lambda: {key: log.complaints() for key, log in away.items()},
          lambda told: all(any('Connection refused' in reason and 2 <= wait <= 10 for reason, wait in lines) for lines in told.values()), 30)
    began = time.time()
    protector('tenant-a', 'protection-group', 'policy-create', GROUP, *policy_options('stall-pg-' + RUN), stdin=tokens())
    shown = await_policy(GROUP)
    check('work_is_done_without_a_broker', shown['status'] == 'active' and not any(log.has('woken by') for log in away.values())
          and not any(log.has(BACK) for log in away.values()), shown)
    say('done in %.1f s without a broker' % (time.time() - began))

    back = logs()
    lab_sh('broker', 'start')
    began = time.time()
    until('api_and_engine_find_back_to_their_broker', lambda: {key: log.has(BACK) for key, log in back.items()}, lambda found: all(found.values()), RETURN)
    seconds = time.time() - began
    say('api and engine of both sites are back after %.1f s' % seconds)
    until('the_clouds_find_back_to_their_broker', clouds_listen, bool, 180)
    wakened = logs()
    client('tenant-a', 'protector', 'protection-group', 'delete', GROUP)
    until('nothing_stays_pending_after_the_return', groups, lambda found: not any(GROUP in names for names in found.values()), 60)
    engine = wakened['site-a', 'engine']
    woken = [line for line in engine.lines() if 'woken by' in line]
    check('the_engine_is_woken_through_the_returned_broker', woken and all(line.endswith('in queue protector.engine of virtual host site-a') for line in woken), woken)
    left = {site: listeners(site, 'protector.engine') for site in KEYSTONES}
    check('each_engine_listens_once_after_the_return', all(count == 1 for count in left.values()), left)
    return seconds
