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

"""Two sites, one truth: the part of the protocol that a client plays.

The sites' services never talk to each other; a client that is signed in to
both carries statements, bundles and receipts across. It never looks inside a
bundle: checksums, versions and conflict rules belong to the API alone.

Nothing here knows OpenStackClient or Horizon. Progress is told through a
``notify(text)`` function.
"""

import base64
import json
import time

from protectorclient import exceptions
from protectorclient.v1 import client as api

#: how often a modification is begun anew when the ground moved under it
ATTEMPTS = 4

#: operation states after which nothing moves any more
ENDED = ('completed', 'failed')

#: sync states in which a receipt is missing
UNFINISHED = ('pending', 'failed')


def encode(document):
    """A JSON document as the value of a header."""
    text = json.dumps(document, separators=(',', ':'), sort_keys=True)
    return base64.b64encode(text.encode('utf-8')).decode('ascii')


def force_command(group):
    return 'openstack protector protection-group sync-force %s' % group


class Site(object):
    """One registered site; signs in when it is first needed."""

    def __init__(self, site_id, name, connect):
        self.id = site_id
        self.name = name
        self._connect = connect
        self._client = None

    @property
    def client(self):
        if self._client is None:
            client = self._connect()
            shown = client.site().get('id')
            if shown and shown != self.id:
                raise exceptions.WrongSite(
                    'The cloud that was taken for site %s is another site '
                    '(%s instead of %s); name the right entry of '
                    'clouds.yaml with --peer-os-cloud.' % (
                        self.name, shown, self.id))
            self._client = client
        return self._client

    def reach(self):
        """Sign in and make sure that the API answers."""
        self.client.project_endpoint()
        self.client.version_document()
        return self


def _stamp(sync):
    return sync.get('epoch') or 0, sync.get('version') or 0


class SitePair(object):
    """The two sites of a group, seen from the one that was addressed."""

    def __init__(self, local, peer, notify=None):
        if local.id == peer.id:
            raise exceptions.WrongSite(
                'Both ends are site %s; a group needs two.' % local.name)
        #: where the group runs, as far as is known; swapped by a re-route
        self.primary = local
        self.peer = peer
        self._notify = notify or (lambda text: None)

    # -- modifications -----------------------------------------------------

    def guarded(self, group_id, change, name=None, creating=False,
                carry=None):
        """Make one modification so that both sites have it.

        ``change(client, headers)`` is the modification itself. The peer is
        reached before anything is changed. Returns what ``change`` returned.
        ``carry(result)`` replaces the push where there is no bundle.
        """
        name = name or group_id
        self.check_peer(name, creating)
        last = None
        for _attempt in range(ATTEMPTS):
            try:
                headers = self._statement(group_id, name, creating)
                result = change(self.primary.client, headers)
                break
            except exceptions.Conflict as exc:
                last = exc
                if not self._answer_conflict(exc, group_id, name):
                    raise
        else:
            raise last
        if carry is not None:
            carry(result)
        else:
            self.push(group_id, name, result)
        return result

    def check_peer(self, name, creating=False):
        """Reach the peer before anything is changed."""
        try:
            self.peer.reach()
        except exceptions.Unreachable as exc:
            self._notify('%s: %s' % (self.peer.name, exc))
            raise exceptions.Blocked(name, creating)

    def _statement(self, group_id, name, creating):
        nonce = self.primary.client.sync_nonce(group_id)
        try:
            statement = self.peer.client.sync_statement(
                group_id, nonce['value'])
        except exceptions.Unreachable as exc:
            self._notify('%s: %s' % (self.peer.name, exc))
            raise exceptions.Blocked(name, creating)
        return {api.STATEMENT: encode(statement)}

    def _answer_conflict(self, exc, group_id, name):
        """Do what a 409 asks for; False if it asks for nothing we can do."""
        current = exc.body.get('current_primary_site_id')
        if current and current == self.peer.id:
            # Where the group left this site, the news of it may still be
            # here: without it the other site would send us back.
            self.heal(group_id, name)
            self.swap(exc.body.get('current_primary_site'))
            return True
        if exc.body.get('overtaken'):
            # Nothing but another write that came first.
            return True
        if exc.body.get('sync_status') in UNFINISHED:
            self.push(group_id, name)
            self._say_healed(name)
            return True
        return False

    def heal(self, group_id, name=None):
        """Carry what the first site of the pair has left to be carried."""
        sync = self.primary.client.sync(group_id)
        if sync.get('status') not in UNFINISHED:
            return False
        self.push(group_id, name)
        self._say_healed(name or group_id)
        return True

    def _say_healed(self, name):
        self._notify(
            'A change of %s that had not reached site %s before has been '
            'carried there.' % (name, self.peer.name))

    def swap(self, told=None):
        """The group runs on the other site: go there, and say so."""
        self.primary, self.peer = self.peer, self.primary
        self._notify('The group runs on site %s now; the request goes '
                     'there.' % (told or self.primary.name))

    # -- carrying ----------------------------------------------------------

    def push(self, group_id, name=None, result=None):
        """Carry the current document; returns the primary's sync state."""
        name = name or group_id
        try:
            bundle = self.primary.client.metadata(group_id)
            receipt = self.peer.client.metadata_put(group_id, bundle)
        except exceptions.ProtectorError as exc:
            self._record_failure(group_id, exc)
            raise exceptions.PushFailed(
                self.peer.name, exc, force_command(name), result)
        try:
            return self.primary.client.sync_receipt(group_id, receipt)
        except exceptions.ProtectorError as exc:
            raise exceptions.PushFailed(
                self.primary.name, exc, force_command(name), result)

    def _record_failure(self, group_id, reason):
        """Note a failed push on the primary; its own failure is no news."""
        try:
            self.primary.client.sync_failed(group_id, str(reason)[:1000])
        except exceptions.ProtectorError:
            pass

    def finish_pending(self, group_id, name=None):
        """Carry a change that an earlier client left; True if there was.

        Meant for commands that read: they help where they can and never
        fail because they couldn't.
        """
        try:
            self.peer.reach()
            return self.heal(group_id, name)
        except exceptions.ProtectorError:
            return False

    def delete(self, group_id, name=None, sleep=time.sleep):
        """Delete a group on the primary, then on the peer."""
        name = name or group_id

        def carry(tombstone):
            # Only we hold the tombstone: a short silence is waited out.
            for pause in (1, 2, None):
                try:
                    self.peer.client.peer_delete(
                        group_id, encode(tombstone))
                    return
                except exceptions.NotFound:
                    return
                except exceptions.ProtectorError as exc:
                    if pause is None or not isinstance(
                            exc, exceptions.Unreachable):
                        raise exceptions.PushFailed(
                            self.peer.name, exc,
                            'openstack protector protection-group delete '
                            '%s' % group_id, tombstone)
                    sleep(pause)

        def change(client, headers):
            return client.group_delete(group_id, headers)

        if self._deleting(group_id):
            # Deleted before, but the peer may not have heard of it.
            tombstone = change(self.primary.client, {})
            carry(tombstone)
            return tombstone
        return self.guarded(group_id, change, name, carry=carry)

    def _deleting(self, group_id):
        try:
            group = self.primary.client.group(group_id)
        except exceptions.NotFound:
            return False
        return (group.get('status') == 'deleting' and
                group.get('current_primary_site_id') == self.primary.id)

    # -- state of both sites -----------------------------------------------

    def turn(self, group_id):
        """Turn the pair so that ``primary`` is the site that has to push.

        That is the one with a change that was not receipted, else the one
        that holds the later document, else the one where the group runs.
        Returns what that site says of its document.
        """
        mine = self._sync_or_none(self.primary, group_id)
        theirs = self._sync_or_none(self.peer, group_id)
        if mine is None and theirs is None:
            raise exceptions.NoSuch(
                "No protection group with a name or ID of '%s' exists."
                % group_id)
        if theirs is None:
            return mine
        if mine is not None:
            unfinished = [
                row for row in (mine, theirs)
                if row.get('status') in UNFINISHED]
            if len(unfinished) == 1:
                pushes = unfinished[0]
            elif _stamp(mine) != _stamp(theirs):
                pushes = max(mine, theirs, key=_stamp)
            elif mine.get('current_primary_site_id') == self.peer.id:
                pushes = theirs
            else:
                pushes = mine
            if pushes is mine:
                return mine
        self.primary, self.peer = self.peer, self.primary
        return theirs

    @staticmethod
    def _sync_or_none(site, group_id):
        try:
            return site.client.sync(group_id)
        except exceptions.NotFound:
            return None

    def status(self, group_id):
        """What each site says of the group; the peer's may be missing.

        Returns ``(local, remote, reason)``.
        """
        local = self.primary.client.sync(group_id)
        try:
            return local, self.peer.reach().client.sync(group_id), None
        except exceptions.ProtectorError as exc:
            return local, None, exc

    def force(self, group_id, name=None, say=None):
        """Carry the document whatever the recorded state says.

        ``say(event, **facts)`` hears of each step.
        """
        name = name or group_id
        say = say or (lambda event, **facts: None)
        say('start')
        try:
            self.peer.reach()
        except exceptions.Unreachable as exc:
            say('unreachable', site=self.peer.name, reason=str(exc))
            raise
        say('reachable', site=self.peer.name)
        sync = self.turn(group_id)
        version = sync.get('version')
        say('syncing', version=version)
        begun = time.time()
        client = self.primary.client
        try:
            bundle = client.metadata(group_id)
            say('gathered')
            say('checksum')
            say('pushing', site=self.peer.name)
            receipt = self.peer.client.metadata_put(group_id, bundle)
        except exceptions.ProtectorError as exc:
            say('failed', reason=str(exc))
            self._record_failure(group_id, exc)
            raise
        say('pushed')
        after = client.sync_receipt(group_id, receipt) or sync
        version = after.get('version', version)
        duration = int(round((time.time() - begun) * 1000))
        say('done', version=version, duration=duration)
        return {'site': self.peer.name, 'status': 'success',
                'version': version, 'duration_ms': duration}

    # -- operations --------------------------------------------------------

    def start(self, group_id, action, options, name=None):
        """Begin a planned operation: intent here, carried to the peer."""
        return self.guarded(
            group_id,
            lambda client, headers: client.action(
                group_id, action, options, headers),
            name)

    def preflight(self, group_id, options):
        """What an operation would find; nothing is changed, nor carried."""
        try:
            return self.primary.client.preflight(group_id, options)
        except exceptions.Conflict as exc:
            if exc.body.get('current_primary_site_id') != self.peer.id:
                raise
            self.swap(exc.body.get('current_primary_site'))
            return self.primary.client.preflight(group_id, options)

    def take_over(self, group_id, options):
        """Begin an unplanned failover on the site that was addressed.

        No statement and no push: the other site may be dead.
        """
        return self.primary.client.action(group_id, 'failover', options, {})

    def follow(self, operation, name=None, seen=None, interval=2.0,
               sleep=time.sleep, patience=300.0, clock=time.time):
        """Poll an operation to its end, then carry its outcome."""
        operation = self.watch(
            operation, seen, interval, sleep, patience, clock)
        self.carry_outcome(operation['protection_group_id'], name)
        return operation

    def watch(self, operation, seen=None, interval=2.0, sleep=time.sleep,
              patience=300.0, clock=time.time):
        """Poll an operation to its end; the other site is not asked.

        A site that stops answering for less than ``patience`` seconds
        doesn't end the watch: its operation goes on without us.
        """
        client = self.primary.client
        lost_at = None
        while True:
            if seen:
                seen(operation)
            if operation.get('status') in ENDED:
                break
            sleep(interval)
            try:
                operation = client.operation(operation['id'])
                lost_at = None
            except exceptions.Unreachable as exc:
                now = clock()
                if lost_at is None:
                    lost_at = now
                    self._notify('%s does not answer (%s); still trying'
                                 % (self.primary.name, exc))
                if now - lost_at > patience:
                    raise
        return operation

    def carry_outcome(self, group_id, name=None):
        """Tell the peer how an operation ended, from where it ran."""
        try:
            self.push(group_id, name)
        except exceptions.PushFailed as exc:
            self._notify(str(exc))
            return False
        return True

    def offer_outcome(self, group_id, name=None):
        """Try once to tell a site that may be dead what became of the group.

        It is no failure if that site doesn't answer.
        """
        try:
            sync = self.primary.client.sync(group_id)
            if sync.get('status') not in UNFINISHED:
                return True
            self.push(group_id, name)
            return True
        except exceptions.PushFailed as exc:
            reason = exc.reason
        except exceptions.ProtectorError as exc:
            reason = exc
        self._notify(
            'Site %s has not been told yet: %s\n'
            'It gets the news by any later command that reaches both sites, '
            'or by:\n%s' % (
                self.peer.name, reason, force_command(name or group_id)))
        return False
