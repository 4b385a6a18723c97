"""ready.py DIR SITE... : waits until every service of both clouds reported up and the hypervisor is in its cell."""
import re
import sys
import time

from keystoneauth1 import session
from keystoneauth1.identity import v3

NEEDED = {'nova-compute', 'nova-conductor', 'nova-scheduler',
          'cinder-volume', 'cinder-scheduler'}
began, ready = time.time(), True
for site in sys.argv[2:]:
    with open('%s/openrc-%s' % (sys.argv[1], site)) as openrc:
        auth_url = re.search(r'OS_AUTH_URL=(\S+)', openrc.read()).group(1)
    cloud = session.Session(v3.Password(
        auth_url=auth_url, username='admin', password='lab',
        project_name='admin', user_domain_id='default',
        project_domain_id='default'))

    def get(service, path, key):
        answer = cloud.get(path, endpoint_filter={'service_type': service})
        return answer.json()[key]

    state = None
    while True:
        try:
            services = (get('compute', '/os-services', 'services')
                        + get('volumev3', '/os-services', 'services'))
            state = {s['binary']: s['state'] for s in services}
            up = {name for name, word in state.items() if word == 'up'}
            hypervisors = get('compute', '/os-hypervisors', 'hypervisors')
            pools = get('volumev3', '/scheduler-stats/get_pools', 'pools')
            if up >= NEEDED and hypervisors and pools:
                print('  site-%s is ready after %.0f s'
                      % (site, time.time() - began))
                break
        except Exception as error:  # the services are just starting
            state = repr(error)
        if time.time() - began > 150:
            print('  site-%s is NOT ready: %s' % (site, state))
            ready = False
            break
        time.sleep(1)
sys.exit(not ready)
