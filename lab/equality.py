"""equality.py LAB SITES : the same probes against a real site and a simulated one, compared as raw JSON.

LAB is the directory of the real control planes (its site-a is asked), SITES the line of JSON with which the simulated
sites say where they listen. Nothing of the product's own client is in between: what a probe sends is written down in
equality_cases.py, once for both sides. A probe passes if both answer with the expected status, and every key that the
simulated answer has is in the real one with the same JSON type; keys that the product reads have to be in both.

Each probe is a line of JSON; then come the pairs of route and status that only the simulated site gave, then the sum.
"""
import concurrent.futures
import json
import pathlib
import re
import sys
import time

import requests

import equality_cases

LAB = pathlib.Path(sys.argv[1]).resolve()
RUN = 'eq%x' % int(time.time())
# Probes that the real services can't be asked, by name, each with its reason.
SKIPS = {
    'a_token_without_the_role': 'a real Keystone goes on accepting a token for a while after its role was taken away, the simulated one refuses it at once',
}
# Told by both sides, or by the real one alone.
HEADERS = ('x-subject-token', 'openstack-api-version', 'x-openstack-request-id', 'www-authenticate', 'retry-after')
SOURCES = pathlib.Path(__file__).resolve().parent.parent / 'crates/openstack/src'


class Unreached(Exception):
    """What a probe needs wasn't made."""


class Token:
    def __init__(self, value, body):
        self.value, self.body = value, body
        self.project = (body.get('project') or {}).get('id')

    def endpoint(self, kinds, region):
        for kind in kinds:
            for service in self.body.get('catalog', ()):
                for endpoint in service['endpoints'] if service['type'] == kind else ():
                    if endpoint['interface'] == 'public' and endpoint['region_id'] == region:
                        return endpoint['url'].rstrip('/')
        raise Unreached('no endpoint of %s' % kinds[0])


class Site:
    """One side: where it is, who asks there, what was made and answered."""
    VERSIONS = {'compute': 'compute 2.87', 'volume': 'volume 3.62'}
    KINDS = {'compute': ['compute'], 'volume': ['volumev3', 'block-storage', 'volume'], 'network': ['network'],
             'key-manager': ['key-manager']}

    def __init__(self, name, auth_url, region, accounts, real):
        self.name, self.region, self.real, self.run = name, region, real, RUN
        self.auth_url, self.accounts = auth_url.rstrip('/'), accounts
        self.tokens, self.ids, self.cases, self.seen = {}, {}, {}, set()
        self.session = requests.Session()

    def base(self, service, actor):
        if service == 'identity':
            return self.auth_url if self.auth_url.endswith('/v3') else self.auth_url + '/v3'
        url = self.token(actor if actor in self.tokens else 'tenant').endpoint(self.KINDS[service], self.region)
        return url + {'network': '/v2.0', 'key-manager': '/v1'}.get(service, '')

    def token(self, actor):
        if actor not in self.tokens:
            raise Unreached('no token of %s' % actor)
        return self.tokens[actor]

    def fill(self, value):
        """Puts what was made on this side into a path or a body."""
        if isinstance(value, str):
            try:
                return value.format_map(self.ids) if '{' in value else value
            except KeyError as missing:
                raise Unreached('there is no %s' % missing) from None
        if isinstance(value, dict):
            return {self.fill(k): self.fill(v) for k, v in value.items()}
        return [self.fill(v) for v in value] if isinstance(value, list) else value

    def call(self, actor, service, method, path, body=None, query=None, headers=None, version=None):
        """actor None: without a token. Answers the HTTP answer; its route and status are kept."""
        sent = dict(headers or {})
        if service in self.VERSIONS:
            sent['OpenStack-API-Version'] = version or self.VERSIONS[service]
        if actor == 'nobody':
            sent['X-Auth-Token'] = 'gAAAAABnot-a-token'
        elif actor:
            sent['X-Auth-Token'] = self.token(actor).value
        url = self.base(service, actor) + self.fill(path)
        answer = self.session.request(method, url, json=self.fill(body), params=self.fill(query), headers=self.fill(sent),
                                      timeout=120)
        self.seen.add((service, method, route(path), answer.status_code))
        return answer

    def probe(self, name, actor, service, method, path, want, body=None, text=None, lacks=None, reads=(), keep=None, what=None, **options):
        """keep: {'name of an id': 'dotted.path'}; text: a part of the answer, lacks: none of it; what: the product's word for the call."""
        case = {'want': want, 'text': text, 'lacks': lacks, 'reads': reads, 'what': what, 'route': '%s %s %s' % (service, method, path)}
        assert name not in self.cases, name
        self.cases[name] = case
        try:
            answer = self.call(actor, service, method, path, body, **options)
        except (Unreached, requests.RequestException) as reason:
            case['broken'] = str(reason)
            return None
        case.update(status=answer.status_code, headers={h for h in HEADERS if h in answer.headers}, body=parsed(answer))
        for key, where in (keep or {}).items():
            found = case['body']
            for part in where.split('.'):
                found = found.get(part) if isinstance(found, dict) else None
            if found is not None:
                self.ids[key] = found
        return answer

    def sign_in(self, name, actor, body, want=201, text=None, **options):
        answer = self.probe(name, None, 'identity', 'POST', '/auth/tokens', want, {'auth': body}, text=text, what='sign in', **options)
        if answer is not None and answer.status_code == 201:
            self.tokens[actor] = Token(answer.headers['X-Subject-Token'], answer.json()['token'])

    def until(self, actor, service, path, key, wanted, seconds=150):
        """Waits for a field of a thing; wanted None: until it is gone."""
        end = time.time() + seconds
        while time.time() < end:
            try:
                answer = self.call(actor, service, 'GET', path)
            except Unreached:
                return False
            if answer.status_code == 404:
                return wanted is None
            found = parsed(answer)
            for part in key.split('.'):
                found = found.get(part) if isinstance(found, dict) else None
            if wanted is not None and found in wanted:
                return True
            time.sleep(0.7 if self.real else 0.1)
        return False


def own(body):
    """Without the quotas of volume types that only one side has."""
    if isinstance(body, dict) and isinstance(body.get('quota_set'), dict):
        strange = lambda key: re.match('(volumes|gigabytes|snapshots)_', key) and not key.endswith(RUN)
        return {'quota_set': {k: v for k, v in body['quota_set'].items() if not strange(k)}}
    return body


def parsed(answer):
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:
        return 'TEXT ' + answer.text[:200]


def route(path):
    return re.sub(r'\{[^}]*\}', '{}', path.split('?')[0]) or '/'


def kind(value):
    names = {bool: 'boolean', int: 'number', float: 'number', str: 'string', type(None): 'null', dict: 'object', list: 'array'}
    return names[type(value)]


def shape(values):
    """What is known of values at one place: their types, the keys of objects, the elements of arrays."""
    known = {'types': {kind(v) for v in values} - {'null'}}
    objects = [v for v in values if isinstance(v, dict)]
    if objects:
        known['keys'] = {k: shape([o[k] for o in objects if k in o]) for k in {k for o in objects for k in o}}
    elements = [e for v in values if isinstance(v, list) for e in v]
    if elements:
        known['items'] = shape(elements)
    return known


def surplus(simulated, real, at=''):
    """What the simulated shape has and the real one hasn't."""
    # A null says nothing of the type: either may have one where the other has a value.
    if simulated['types'] and real['types'] and not simulated['types'] <= real['types']:
        yield '%s is %s, really %s' % (at or 'body', '/'.join(sorted(simulated['types'])), '/'.join(sorted(real['types'])))
    for key, value in sorted(simulated.get('keys', {}).items()):
        if key in real.get('keys', {}):
            yield from surplus(value, real['keys'][key], '%s.%s' % (at, key))
        elif real['types']:
            yield '%s.%s is not there really' % (at, key)
    if 'items' in simulated and 'items' in real:
        yield from surplus(simulated['items'], real['items'], at + '[]')
    elif 'items' in simulated and 'array' in real['types']:
        yield '%s has elements, really none' % at


def has(value, path):
    """Whether 'a.b[].c' is in the value, in every element of the arrays."""
    head, _, rest = path.partition('/')
    if head == '[]':
        return isinstance(value, list) and bool(value) and all(has(v, rest) if rest else True for v in value)
    if not isinstance(value, dict) or head not in value:
        return False
    return has(value[head], rest) if rest else True


def problems(simulated, real):
    for side, case in (('simulated', simulated), ('real', real)):
        if 'broken' in case:
            yield '%s: %s' % (side, case['broken'])
    if 'broken' in simulated or 'broken' in real:
        return
    for side, case in (('simulated', simulated), ('real', real)):
        if case['status'] != case['want']:
            yield '%s: %s, not %s: %s' % (side, case['status'], case['want'], json.dumps(case['body'])[:400])
        if case['text'] and case['text'] not in json.dumps(case['body']):
            yield '%s: no "%s" in %s' % (side, case['text'], json.dumps(case['body'])[:400])
        if case['lacks'] and case['lacks'] in json.dumps(case['body']):
            yield '%s: "%s" in %s' % (side, case['lacks'], json.dumps(case['body'])[:400])
        for path in case['reads']:
            if not has(case['body'], path):
                yield '%s: no %s' % (side, path)
    if simulated['status'] == real['status']:
        yield from surplus(shape([own(simulated['body'])]), shape([own(real['body'])]))
        if real['status'] >= 400 and isinstance(real['body'], dict) and isinstance(simulated['body'], dict):
            missing = set(real['body']) - set(simulated['body'])
            if missing:
                yield 'simulated: an error without %s' % ', '.join(sorted(missing))
        if simulated['headers'] - real['headers']:
            yield 'headers %s are not there really' % ', '.join(sorted(simulated['headers'] - real['headers']))


def product_calls():
    """The product's words for its calls, from its client's source."""
    words = set()
    for source in SOURCES.glob('*.rs'):
        text = source.read_text().split('#[cfg(test)]')[0]
        words |= set(re.findall(r'(?:Compute|Cinder|Neutron|Identity|KeyManager|id|access),\s*"([a-z][a-z \']+)"', text))
    return words


def tell(name, found, **detail):
    line = {'test': 'equality::' + name, 'passed': not found}
    if found:
        line.update(detail, problems=found)
    print(json.dumps(line), flush=True)
    return not found


def sites():
    described = json.loads(sys.argv[2])['sites'][0]
    accounts = {a['user']: (a['password'], a['project']) for a in described['accounts']}
    yield Site('simulated', described['auth_url'], described['region'], accounts, False)
    yield Site('real', 'http://127.0.0.1:15000/v3', 'site-a', {'admin': ('lab', 'admin'), 'protector': ('lab', 'service')}, True)


def ask(site):
    began = time.time()
    try:
        equality_cases.probe(site)
    finally:
        equality_cases.clean(site)
    return time.time() - began


def main():
    began = time.time()
    simulated, real = sites()
    if not (LAB / 'venv').is_dir():
        raise SystemExit('no control planes in %s' % LAB)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        seconds = [future.result() for future in [pool.submit(ask, site) for site in (simulated, real)]]
    passed, failed, listed = 0, [], 0
    for name, case in simulated.cases.items():
        if name in SKIPS:
            listed += 1
            print(json.dumps({'test': 'equality::' + name, 'skipped': SKIPS[name]}))
        elif tell(name, list(problems(case, real.cases[name])), route=case['route']):
            passed += 1
        else:
            failed.append(name)
    probed = {case['what'] for case in real.cases.values() if case.get('status')}
    if tell('every_call_of_the_product_is_probed', sorted(product_calls() - probed)):
        passed += 1
    else:
        failed.append('every_call_of_the_product_is_probed')
    only = sorted(simulated.seen - real.seen)
    for service, method, path, status in only:
        print(json.dumps({'simulated_only': '%s %s %s' % (service, method, path), 'status': status}))
    print(json.dumps({'equality': 'openstack', 'passed': passed, 'failed': len(failed), 'skipped': 0, 'listed_skips': listed,
                      'simulated_only': len(only), 'failures': failed, 'seconds': round(time.time() - began, 1),
                      'seconds_simulated': round(seconds[0], 1), 'seconds_real': round(seconds[1], 1)}))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
