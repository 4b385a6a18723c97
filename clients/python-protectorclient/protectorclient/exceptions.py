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

"""What can go wrong between a client and one or two sites.

No OpenStackClient import here: the dashboard uses the same classes.
"""


class ProtectorError(Exception):
    """Base of everything this package raises by itself."""


class HttpError(ProtectorError):
    """A fault that a protector API answered, with its own words."""

    def __init__(self, code, message, body=None, request_id=None):
        self.code = code
        self.message = message
        #: fields that stand beside code and message in the fault
        self.body = body or {}
        self.request_id = request_id
        text = '%s (HTTP %s)' % (message, code)
        if request_id and code >= 500:
            text += ' (Request-ID: %s)' % request_id
        super(HttpError, self).__init__(text)


class Unauthorized(HttpError):
    pass


class Forbidden(HttpError):
    pass


class NotFound(HttpError):
    pass


class Conflict(HttpError):
    pass


class NoSuch(ProtectorError):
    """No object has the given name or id."""


class NotUnique(ProtectorError):
    """Several objects have the given name."""


class Unreachable(ProtectorError):
    """A site, or its Keystone, did not answer."""


class Untrusted(ProtectorError):
    """A site's certificate can't be verified, so nothing is said to it."""

    def __init__(self, reason):
        super(Untrusted, self).__init__(
            '%s\nNothing was sent. If it is the right certificate, name a '
            'file with the authority that has issued it: `cacert` in the '
            "site's entry of clouds.yaml (or OS_CACERT)." % reason)


class SignInFailed(ProtectorError):
    """A site's Keystone refused the credentials of a clouds.yaml entry."""


class WrongSite(ProtectorError):
    """What answered is not the site that was meant."""


class NoPeerCloud(ProtectorError):
    """No entry of clouds.yaml, or more than one, leads to a site."""


class Blocked(ProtectorError):
    """A modification was not begun because the peer can't be reached."""

    def __init__(self, group, creating=False):
        if creating:
            text = (
                'Error: Cannot create protection group - remote site '
                'unreachable.\n'
                'Reason: Modification requires both sites to be reachable '
                'to prevent metadata divergence.\n'
                'Action: Wait for the remote site to recover, then run the '
                'command again.')
        else:
            text = (
                'Error: Cannot modify protection group - remote site '
                'unreachable.\n'
                'Reason: Modification requires both sites to be reachable '
                'to prevent metadata divergence.\n'
                'Action: Wait for the remote site to recover, then run:\n'
                'openstack protector protection-group sync-force %s' % group)
        super(Blocked, self).__init__(text)


class PushFailed(ProtectorError):
    """A change is committed here, but the peer doesn't have it yet."""

    def __init__(self, site, reason, action, result=None):
        self.site = site
        self.reason = reason
        #: what the committed change answered
        self.result = result
        super(PushFailed, self).__init__(
            'The change is stored, but it could not be carried to %s: %s\n'
            'Further changes are refused until it is. When %s answers '
            'again, run:\n%s' % (site, reason, site, action))
