import {
  accountSchema,
  API_PREFIX,
  credentialsSchema,
  loginSchema,
  refreshSchema,
  tokensSchema,
} from '@postern/protocol';
import type { Accounts } from '../../domain/accounts.js';
import { bearerToken } from '../bearer.js';
import { defineRoute, json, noContent, type Route } from '../route.js';
import { logoutBody } from '../schemas.js';
import { iso } from '../views.js';

const path = (name: string): string => `${API_PREFIX}/auth/${name}`;
const base = { tag: 'Accounts', style: 'api' } as const;

export function authRoutes(accounts: Accounts): Route[] {
  return [
    defineRoute({
      ...base,
      method: 'POST',
      path: path('signup'),
      operationId: 'signup',
      summary: 'Make an account',
      auth: 'none',
      loginLimited: true,
      body: credentialsSchema,
      responses: { 201: { description: 'The account', schema: accountSchema } },
      errors: ['USERNAME_TAKEN', 'RATE_LIMITED', 'FORBIDDEN'],
      location: () => path('whoami'),
      async handle({ body, origin }) {
        const user = await accounts.signup(body, origin);
        return { status: 201, json: { username: user.username, createdAt: iso(user.createdAt) } };
      },
    }),
    defineRoute({
      ...base,
      method: 'POST',
      path: path('login'),
      operationId: 'login',
      summary: 'Get an access token and a refresh token',
      auth: 'none',
      loginLimited: true,
      body: loginSchema,
      responses: { 200: { description: 'The tokens', schema: tokensSchema } },
      errors: ['BAD_CREDENTIALS', 'RATE_LIMITED'],
      handle: async ({ body, origin }) => json(await accounts.login(body, origin)),
    }),
    defineRoute({
      ...base,
      method: 'POST',
      path: path('refresh'),
      operationId: 'refresh',
      summary: 'Change a refresh token for new tokens',
      description:
        'Each refresh token works once. One that comes again later than 10 s after its use ends the session.',
      auth: 'none',
      body: refreshSchema,
      responses: { 200: { description: 'The tokens', schema: tokensSchema } },
      errors: ['UNAUTHENTICATED'],
      handle: async ({ body, origin }) => json(await accounts.refresh(body.refreshToken, origin)),
    }),
    defineRoute({
      ...base,
      method: 'POST',
      path: path('logout'),
      operationId: 'logout',
      summary: 'End the session and both its tokens',
      description: 'By the access token, or by `refreshToken` in the body once the access token has expired.',
      auth: 'none',
      bodyOptional: true,
      body: logoutBody,
      responses: { 204: { description: 'The session has ended' } },
      errors: ['UNAUTHENTICATED', 'TOKEN_EXPIRED'],
      async handle({ req, body, origin }) {
        if (body.refreshToken !== undefined) await accounts.logoutByRefreshToken(body.refreshToken, origin);
        else await accounts.logout(await accounts.authenticateToken(bearerToken(req)), origin);
        return noContent;
      },
    }),
    defineRoute({
      ...base,
      method: 'GET',
      path: path('whoami'),
      operationId: 'whoami',
      summary: 'The account that the access token belongs to',
      auth: 'bearer',
      responses: { 200: { description: 'The account', schema: accountSchema } },
      errors: [],
      async handle({ principal }) {
        const user = await accounts.account(principal);
        return json({ username: user.username, createdAt: iso(user.createdAt) });
      },
    }),
  ];
}
