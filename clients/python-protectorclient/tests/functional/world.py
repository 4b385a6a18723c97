# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Two simulated sites with the real services, and `openstack` as typed."""

import base64
import json
import os
import pathlib
import pty
import select
import signal
import sqlite3
import subprocess
import sys
import time
from urllib import request
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[4]
VOLUME_TYPE = 'replicated-ssd'


class Ended(object):
    """How a command ended and what it said."""

    def __init__(self, words, done):
        self.words = ' '.join(words)
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def __repr__(self):
        return '%s: %d\n%s%s' % (self.words, self.code, self.out, self.err)

    def json(self):
        assert self.code == 0, self
        return json.loads(self.out)


class World(object):
    """What `protector-dev stack` runs; it ends with this process."""

    def __init__(self, directory, *options, **settings):
        """Options of `protector-dev stack`, settings as OS_GROUP__OPTION."""
        program = os.environ.get('PROTECTOR_DEV') or str(
            ROOT / 'target' / 'release' / 'protector-dev')
        if not os.path.exists(program):
            raise AssertionError(
                '%s is missing: cargo build --release --workspace --bins'
                % program)
        self.directory = pathlib.Path(directory)
        log = open(str(self.directory / 'stack.log'), 'w')
        self.process = subprocess.Popen(
            [program, 'stack', '--no-build', '--until-eof', '--dir',
             str(self.directory / 'stack')] + list(options),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            env=dict(os.environ, **settings))
        log.close()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(
                (self.directory / 'stack.log').read_text())
        self.about = json.loads(line.decode())
        self.sites = {site['name']: site for site in self.about['sites']}

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        self.process.stdout.close()

    # -- commands ----------------------------------------------------------

    def _command(self, cloud, words, env=None):
        """Program, arguments and environment of a command."""
        line = [os.path.join(os.path.dirname(sys.executable), 'openstack')]
        return line + list(words), self._environment(cloud, env)

    def _environment(self, cloud, more):
        env = {key: value for key, value in os.environ.items()
               if not key.startswith('OS_')}
        env.update(OS_CLIENT_CONFIG_FILE=self.about['clouds_yaml'],
                   OS_CLOUD=cloud, PYTHONWARNINGS='ignore', COLUMNS='200',
                   PYTHONIOENCODING='utf-8')
        env.update(more or {})
        return env

    def openstack(self, cloud, *words, **options):
        """Run `openstack` as the user of an entry of clouds.yaml."""
        line, env = self._command(cloud, words, options.get('env'))
        done = subprocess.run(
            line, env=env, input=options.get('stdin', ''), timeout=180,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding='utf-8')
        return Ended(words, done)

    def typed(self, cloud, words, answers, seconds=120):
        """Run `openstack` at a terminal, and type at its prompts.

        ``answers`` are pairs of a part of the prompt and what is typed.
        Answers the exit code and what was to be seen.
        """
        line, env = self._command(cloud, words)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(line[0], line, env)
        seen, left, end = '', list(answers), time.time() + seconds
        while time.time() < end:
            ready, _, _ = select.select([terminal], [], [], 1)
            if ready:
                try:
                    part = os.read(terminal, 4096)
                except OSError:
                    break
                if not part:
                    break
                seen += part.decode('utf-8', 'replace')
            if left and left[0][0] in seen:
                # It is read when the echo has been switched off.
                time.sleep(0.3)
                os.write(terminal, (left.pop(0)[1] + '\n').encode())
        else:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        assert not left, 'nobody asked for %r: %s' % (left, seen)
        return os.WEXITSTATUS(status), seen

    def ok(self, cloud, *words, **options):
        """A command that has to succeed."""
        ended = self.openstack(cloud, *words, **options)
        assert ended.code == 0, ended
        return ended

    def show(self, cloud, *words, **options):
        """What `openstack protector ...` answers, as JSON."""
        words = ('protector',) + words + ('-f', 'json')
        return self.openstack(cloud, *words, **options).json()

    # -- what no client can do ---------------------------------------------

    def control(self, method, path, body=None):
        return _json(method, '%s/control/sites/%s' % (
            self.about['control'], path), body)

    def control_arrays(self, method, path, body=None):
        return _json(method, '%s/control/%s' % (
            self.about['arrays_control'], path), body)

    def advance_arrays(self, seconds):
        """Time goes by on the arrays."""
        self.control_arrays('POST', 'time', {'advance_millis': seconds * 1000})

    def boot(self, name, disks=1):
        """A server of the tenant at site-a; its id."""
        return self.control('POST', 'site-a/servers', {
            'name': name, 'disks': disks, 'volume_type': VOLUME_TYPE})['id']

    def down(self, site):
        """Make a whole cloud refuse connections."""
        self.control('PUT', '%s/faults' % site, {'down': True})

    def silence(self, site):
        """Make a cloud and its array take connections and never answer."""
        self.control('PUT', '%s/faults' % site, {'hang': True})
        self.control_arrays('PATCH', self._faults(site), {'hang': True})

    def heal(self, site):
        self.control('DELETE', '%s/faults' % site)
        self.control_arrays('DELETE', self._faults(site))

    def _faults(self, site):
        return 'arrays/%s/faults' % self.sites[site]['array']['name']

    def knocks(self, site):
        """Connections to a cloud and its array so far, and calls."""
        array = self.sites[site]['array']['name']
        calls = self.control('GET', '%s/calls' % site)['calls']
        calls += self.control_arrays('GET', 'calls?service=%s' % array)[
            'calls']
        return len(calls) + sum(
            faults['connections'] for faults in (
                self.control('GET', '%s/faults' % site),
                self.control_arrays('GET', self._faults(site))))

    def untold(self, group, description):
        """A change at site-a by a client that dies before it tells."""
        self._untold(group, 'PATCH', '',
                     {'protection_group': {'description': description}})

    def untold_member(self, group, server):
        """The same with a new member, until it is protected."""
        self._untold(group, 'POST', '/members',
                     {'member': {'instance_id': server}})
        eventually(
            lambda: self.show('site-a', 'protection-group', 'member-list',
                              group),
            lambda rows: {row['Status'] for row in rows} == {'protected'})

    def _untold(self, group, method, end, body):
        group_id = self.show('site-a', 'protection-group', 'show',
                             group)['id']
        path = '/protection-groups/' + group_id
        nonce = self._call('site-a', 'POST', path + '/sync',
                           {'nonce': {}})['nonce']
        statement = self._call('site-b', 'POST', path + '/sync', {
            'statement': {'nonce': nonce['value']}})['statement']
        word = base64.b64encode(json.dumps(statement).encode()).decode()
        self._call('site-a', method, path + end, body,
                   {'X-Protector-Statement': word})

    def make_synchronous(self, group):
        """No such group can be made yet: what both sites hold is changed."""
        paths = list((self.directory / 'stack').rglob('protector.db'))
        assert len(paths) == 2, paths
        for path in paths:
            database = sqlite3.connect(str(path), timeout=20)
            with database:
                changed = database.execute(
                    "UPDATE protection_groups SET replication_type = 'sync',"
                    " document = json_set(document, '$.replication_type',"
                    " 'sync') WHERE name = ?", (group,)).rowcount
            database.close()
            assert changed == 1, path

    def unmap(self):
        """Take the tenant's mapping away at site-b alone; what it was."""
        token = self.ok('site-b', 'token', 'issue', '-f', 'json').json()
        rows = self.show('site-b-admin', 'tenant', 'mapping', 'list')
        row = next(row for row in rows
                   if row['local_tenant'] == token['project_id'])
        self._call('site-b-admin', 'DELETE', '/tenant-mappings/' + row['id'])
        return {key: row[key] for key in (
            'id', 'local_tenant', 'remote_site', 'remote_tenant')}

    def map(self, row):
        self._call('site-b-admin', 'POST', '/tenant-mappings',
                   {'tenant_mapping': row})

    def _call(self, cloud, method, path, body=None, headers=None):
        """A request to protector, past its client."""
        token = self.ok(cloud, 'token', 'issue', '-f', 'json').json()
        site = self.sites[cloud.replace('-admin', '')]
        asked = request.Request(
            '%s/v1/%s%s' % (site['protector']['url'], token['project_id'],
                            path),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers=dict({'content-type': 'application/json',
                          'X-Auth-Token': token['id']}, **headers or {}))
        with request.urlopen(asked, timeout=20) as answer:
            return json.loads(answer.read() or b'null')

    # -- beginnings ---------------------------------------------------------

    def group(self, name=None):
        """A protection group with its policy; its name."""
        name = name or 'g-' + uuid.uuid4().hex[:8]
        self.show('site-a', 'protection-group', 'create', '--name', name,
                  '--replication-type', 'async', '--primary-site', 'site-a',
                  '--secondary-site', 'site-b', '--volume-type', VOLUME_TYPE,
                  '--wait')
        return name

    def tokens(self):
        """Standard input for policy-create."""
        return ''.join('%s-token\n' % self.sites[site]['array']['name']
                       for site in ('site-a', 'site-b'))

    def policy(self, group):
        self.show('site-a', 'protection-group', 'policy-create', group,
                  *self.policy_options(group), stdin=self.tokens())
        return eventually(
            lambda: self.show('site-a', 'protection-group', 'policy-show',
                              group),
            lambda policy: policy['status'] == 'active')

    def policy_options(self, group):
        array = {site: self.sites[site]['array']['url']
                 for site in ('site-a', 'site-b')}
        return ('--primary-fa-url', array['site-a'],
                '--primary-fa-token', '-',
                '--secondary-fa-url', array['site-b'],
                '--secondary-fa-token', '-',
                '--pure-pg-name', 'pg-' + group,
                '--replication-interval', '300', '--rpo-minutes', '15')


def _json(method, url, body):
    asked = request.Request(
        url, method=method, headers={'content-type': 'application/json'},
        data=None if body is None else json.dumps(body).encode())
    with request.urlopen(asked, timeout=20) as answer:
        return json.loads(answer.read() or b'null')


def eventually(read, wanted, seconds=60):
    """Read until it is as it should be."""
    end = time.time() + seconds
    while True:
        found = read()
        if wanted(found):
            return found
        assert time.time() < end, found
        time.sleep(0.3)
