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

"""From a registered site to the clouds.yaml entry that signs in there.

Never inferred from a cloud's name alone: the caller checks the identity that
the site's API shows before anything is written.
"""

import collections

from protectorclient import exceptions

#: seconds for which a peer may stay silent
TIMEOUT = 10.0

Cloud = collections.namedtuple(
    'Cloud', 'name auth_url region username project site')


def normalise(url):
    """An authentication URL in a form in which equal means the same."""
    from urllib import parse

    parts = parse.urlsplit((url or '').strip())
    host = (parts.hostname or '').lower()
    scheme = parts.scheme.lower()
    port = parts.port or {'http': 80, 'https': 443}.get(scheme)
    path = parts.path.rstrip('/')
    for suffix in ('/v3', '/v2.0'):
        if path.endswith(suffix):
            path = path[:-len(suffix)]
    return '%s://%s:%s%s' % (scheme, host, port, path.rstrip('/'))


def cloud_of(name, config):
    """What matters of one entry, from its merged or raw settings."""
    auth = config.get('auth') or {}
    extra = config.get('protector') or {}
    region = config.get('region_name')
    if not region:
        regions = config.get('regions') or []
        if len(regions) == 1:
            region = regions[0]
            if isinstance(region, dict):
                region = region.get('name')
    return Cloud(
        name=name, auth_url=auth.get('auth_url'), region=region,
        username=(auth.get('username') or auth.get('user_id')
                  or auth.get('application_credential_id')
                  or auth.get('application_credential_name')),
        project=(auth.get('project_name') or auth.get('project_id')
                 or auth.get('tenant_name')),
        site=extra.get('site') if isinstance(extra, dict) else None)


def clouds(config):
    """All entries of clouds.yaml; ``config`` is an OpenStackConfig."""
    raw = (getattr(config, 'cloud_config', None) or {}).get('clouds') or {}
    rows = []
    for name in sorted(raw):
        row = cloud_of(name, raw[name] or {})
        if not row.auth_url:
            try:
                row = cloud_of(name, config.get_one(cloud=name).config)
            except Exception:
                continue
        rows.append(row)
    return rows


def same_place(cloud, site):
    """Does this entry lead to the site's Keystone, and to its region?"""
    if not cloud.auth_url or not site.get('auth_url'):
        return False
    if normalise(cloud.auth_url) != normalise(site['auth_url']):
        return False
    wanted = site.get('region_name')
    return not wanted or not cloud.region or cloud.region == wanted


def _is_admin(cloud):
    return 'admin' in (cloud.username, cloud.project)


def _rank(cloud, site, current, local_name):
    """Greater is better; equal ranks can't be told apart."""
    analogue = False
    if current is not None and local_name and local_name in current.name:
        analogue = cloud.name == current.name.replace(
            local_name, site.get('name') or '')
    same_user = current is not None and current.username is not None and (
        cloud.username == current.username)
    same_project = current is not None and current.project is not None and (
        cloud.project == current.project)
    return (
        cloud.site is not None and cloud.site == site.get('name'),
        same_user and same_project,
        analogue,
        same_project,
        same_user,
        current is not None and _is_admin(cloud) == _is_admin(current),
        bool(site.get('region_name'))
        and cloud.region == site.get('region_name'),
        cloud.name == site.get('name'),
    )


def choose(rows, site, current=None, local_name=None, explicit=None):
    """The name of the entry that signs in to ``site``."""
    name = site.get('name') or site.get('auth_url')
    if explicit:
        if explicit not in [row.name for row in rows]:
            raise exceptions.NoPeerCloud(
                "Site %s: clouds.yaml has no entry '%s'." % (name, explicit))
        return explicit
    marked = [row for row in rows
              if row.site is not None and row.site == site.get('name')]
    found = marked or [
        row for row in rows
        if same_place(row, site) or (
            row.name == site.get('name') and row.site is None
            and not _elsewhere(row, site))]
    if not found:
        raise exceptions.NoPeerCloud(
            'Site %s: no entry of clouds.yaml has auth_url %s%s. Add one, '
            'or name it with --peer-os-cloud or OS_PROTECTOR_PEER_CLOUD.' % (
                name, site.get('auth_url'),
                ' and region_name %s' % site['region_name']
                if site.get('region_name') else ''))
    ranked = sorted(
        found, reverse=True,
        key=lambda row: _rank(row, site, current, local_name))
    best = _rank(ranked[0], site, current, local_name)
    equal = [row.name for row in ranked
             if _rank(row, site, current, local_name) == best]
    if len(equal) > 1:
        raise exceptions.NoPeerCloud(
            'Site %s: several entries of clouds.yaml lead there (%s). Name '
            'one with --peer-os-cloud or OS_PROTECTOR_PEER_CLOUD.' % (
                name, ', '.join(sorted(equal))))
    return equal[0]


def _elsewhere(cloud, site):
    """Same Keystone but another region: certainly not this site."""
    return bool(
        cloud.auth_url and site.get('auth_url')
        and normalise(cloud.auth_url) == normalise(site['auth_url'])
        and cloud.region and site.get('region_name')
        and cloud.region != site['region_name'])


def connect(config, cloud_name, api_version=None, timeout=None):
    """Sign in with an entry of clouds.yaml.

    No command-line option of the first cloud is given on, so none of its
    credentials reach the second.
    """
    from keystoneauth1 import exceptions as ksa_exc

    from protectorclient.v1 import client

    _quiet()
    region = config.get_one(cloud=cloud_name)
    if not region.config.get('api_timeout'):
        region.config['api_timeout'] = timeout or TIMEOUT
    session = region.get_session()
    made = client.Client(
        session, region_name=region.region_name or None,
        interface=region.get_interface('protector') or 'public',
        api_version=api_version)
    try:
        made.project_endpoint()
    except (ksa_exc.Unauthorized, ksa_exc.Forbidden, ksa_exc.NotFound,
            ksa_exc.MissingRequiredOptions, ksa_exc.NoMatchingPlugin,
            ksa_exc.BadRequest) as exc:
        raise exceptions.SignInFailed(
            "Signing in with the clouds.yaml entry '%s' failed: %s"
            % (cloud_name, ' '.join(str(exc).split())))
    return made


def _quiet():
    """Keep a dead peer from printing more than our own message."""
    import logging

    logging.getLogger('keystoneauth.identity.generic.base').setLevel(
        logging.ERROR)
