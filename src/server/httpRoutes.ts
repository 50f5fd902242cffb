// The HTTP API of the reference backend.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AccessRules } from './access.ts'
import { isAllowedOrigin } from './access.ts'
import type { Model, Principal } from './options.ts'
import { HttpRefusal, readJson } from './readJson.ts'
import type { Settings, SettingsStore } from './SettingsStore.ts'

/** What the routes work on. */
export interface RouteContext {
  readonly settings: SettingsStore
  readonly models: readonly Model[]
  readonly maxBodyBytes: number
  /** Who asks. @throws HttpRefusal */
  readonly authenticate: (request: IncomingMessage) => Promise<Principal | undefined>
  /** Stops one answer of a user, or all of them; returns how many. */
  readonly stop: (principal: Principal | undefined, id: string | undefined) => Promise<number>
  /** Whether the backend is going away. */
  readonly closing: boolean
  /** Whether clients should come here. */
  readonly isReady: () => Promise<boolean>
}

type Route = (
  context: RouteContext,
  request: IncomingMessage,
  principal: Principal | undefined,
) => Promise<{ status: number; body: unknown }>

/** Load balancers and clients that wait for us to come back ask this, and have no token to show. */
const HEALTH = 'GET /v1/health'

const ok = (body: unknown) => ({ status: 200, body })

const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  [
    HEALTH,
    async ({ closing, isReady }) => {
      if (closing) return { status: 503, body: { status: 'closing' } }
      return (await isReady()) ? ok({ status: 'ok' }) : { status: 503, body: { status: 'not ready' } }
    },
  ],
  ['GET /v1/models', async ({ models }) => ok({ models })],
  ['GET /v1/settings', async ({ settings }) => ok(settings.get())],
  [
    'POST /v1/settings',
    async ({ settings, maxBodyBytes }, request) => {
      const changes = await readJson(request, maxBodyBytes)
      if (typeof changes !== 'object' || changes === null || Array.isArray(changes)) {
        throw new HttpRefusal(400, 'a JSON object is expected')
      }
      return ok(await settings.merge(changes as Settings))
    },
  ],
  [
    'POST /api/stop-generation',
    async ({ stop, maxBodyBytes }, request, principal) => {
      const body = (await readJson(request, maxBodyBytes)) as { id?: unknown } | undefined
      const id = body?.id
      if (id !== undefined && typeof id !== 'string') throw new HttpRefusal(400, '"id" must be a string')
      return ok({ stopped: await stop(principal, id) })
    },
  ],
])

const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'OPTIONS']
/** Those of `onRequest`, too. */
const CORS_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** Answers what is one of the routes; returns whether it was. */
export async function answerRoute(
  context: RouteContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const path = pathOf(request)
  const name = routeName(request.method, path)
  const route = routes.get(name)
  if (route) {
    const principal = name === HEALTH ? undefined : await context.authenticate(request)
    const { status, body } = await route(context, request, principal)
    sendJson(response, status, body)
    return true
  }
  const others = METHODS.filter((other) => routes.has(routeName(other, path)))
  if (others.length === 0) return false
  if (request.method === 'OPTIONS') {
    response.writeHead(204, { allow: ['OPTIONS', ...others].join(', ') }).end()
    return true
  }
  response.setHeader('allow', ['OPTIONS', ...others].join(', '))
  throw new HttpRefusal(405, `${request.method} is not possible here`)
}

/** What is there to be read can be asked for its head, too. */
function routeName(method: string | undefined, path: string): string {
  return `${method === 'HEAD' ? 'GET' : method} ${path}`
}

/** The path of a request without its query, as it was sent. */
export function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] as string
}

/** Lets pages of allowed origins read the answer (Fetch standard, CORS protocol). */
export function allowOrigin(request: IncomingMessage, response: ServerResponse, rules: AccessRules): void {
  const { origin } = request.headers
  response.setHeader('vary', 'origin')
  if (origin === undefined || !isAllowedOrigin(request, rules)) return
  response.setHeader('access-control-allow-origin', origin)
  response.setHeader('access-control-expose-headers', 'retry-after, ratelimit, ratelimit-policy')
  if (request.method !== 'OPTIONS') return
  response.setHeader('access-control-allow-methods', CORS_METHODS)
  response.setHeader('access-control-allow-headers', request.headers['access-control-request-headers'] ?? '*')
  response.setHeader('access-control-max-age', '600')
}

/**
 * Answers the question that a browser asks of an allowed page's request before it sends it, whatever the path: it comes
 * without credentials, so nobody can be authenticated yet. Returns whether it was one.
 */
export function answerPreflight(request: IncomingMessage, response: ServerResponse): boolean {
  const { origin, 'access-control-request-method': method } = request.headers
  if (request.method !== 'OPTIONS' || origin === undefined || method === undefined) return false
  response.writeHead(204).end()
  return true
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(text)
}
