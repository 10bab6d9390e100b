// The issuer of `make issuers`: node oidc-provider as docs/auth.md sets it up.
// ISSUER is its address; the file of its argument has its keys, the signing one first.
import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const issuer = new URL(process.env.ISSUER);
const scopes = ['orders:read', 'orders:write', 'orders:pay', 'reports:read'];
const roles = { ada: ['Shop Support'], grace: ['Shop Guest'] };
const machine = {
  client_secret: 'secret-of-a-test',
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
};

const provider = new Provider(issuer.href.replace(/\/$/, ''), {
  clients: [
    {
      client_id: 'shop-web',
      client_secret: machine.client_secret,
      redirect_uris: [process.env.REDIRECT_URI],
    },
    { client_id: 'shop-importer', ...machine },
    { client_id: 'shop-other', ...machine },
  ],
  jwks: JSON.parse(readFileSync(process.argv[2], 'utf-8')),
  cookies: { keys: ['key-of-a-test'] },
  scopes: ['openid', 'offline_access'],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  extraTokenClaims: (_, token) =>
    token.accountId ? { roles: roles[token.accountId] ?? [] } : undefined,
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        audience: new URL(resource).hostname.split('.')[0],
        accessTokenFormat: 'jwt',
        scope: scopes.join(' '),
      }),
    },
  },
});
provider.listen(Number(issuer.port), issuer.hostname);
