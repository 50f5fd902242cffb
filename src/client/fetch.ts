// `client.fetch`: the signature and the manners of WHATWG fetch, with every policy of the client beneath.
// A Response for every status; a body that streams; `signal.reason` when aborted; a TypeError when the network fails.

import { AbortError, CommsError } from '../core/errors.ts'
import { ask } from './asking.ts'
import type { Answer } from './attempt.ts'
import type { ClientCore, Inherited } from './core.ts'

/** Statuses whose responses have no body (Fetch standard, "null body status"). */
const NULL_BODY: ReadonlySet<number> = new Set([101, 103, 204, 205, 304])

interface Asked {
  readonly url: string | URL
  readonly method: string
  readonly data: unknown
  readonly headers: Record<string, string>
  readonly redirect: RequestRedirect
}

/** @throws what a call throws; see `asFetchError` */
export async function runFetch(
  core: ClientCore,
  input: string | URL | Request,
  init: RequestInit,
  inherited: Inherited,
): Promise<Response> {
  inherited.signal?.throwIfAborted()
  const asked = input instanceof Request ? fromRequest(new Request(input, init)) : fromInit(input, init)
  const { call: answer } = await ask(core, asked.method, asked.url, asked.data, {
    headers: asked.headers,
    raw: true,
    ...inherited,
    ...(asked.redirect === 'follow' ? {} : { maxRedirects: 0 }),
  })
  const moved = answer.status >= 300 && answer.status < 400 && answer.headers.location !== undefined
  if (asked.redirect === 'error' && moved)
    throw new TypeError('fetch failed: a redirect came, and redirect is "error"')
  return toResponse(answer, asked.method)
}

function fromInit(url: string | URL, init: RequestInit): Asked {
  return {
    url,
    method: normalMethod(init.method ?? 'GET'),
    data: init.body ?? undefined,
    headers: plainHeaders(init.headers),
    redirect: init.redirect ?? 'follow',
  }
}

function fromRequest(request: Request): Asked {
  return {
    url: request.url,
    method: request.method,
    data: request.body ?? undefined,
    headers: plainHeaders(request.headers),
    redirect: request.redirect,
  }
}

/** The six names that fetch writes in capitals; others go as they are given, and we send all in capitals. */
function normalMethod(method: string): string {
  return method.toUpperCase()
}

function plainHeaders(given: RequestInit['headers']): Record<string, string> {
  const headers: Record<string, string> = {}
  if (given === undefined) return headers
  const entries = given instanceof Headers || Array.isArray(given) ? given : Object.entries(given)
  for (const [name, value] of entries as Iterable<[string, string]>) {
    const key = name.toLowerCase()
    headers[key] = key in headers ? `${headers[key]}, ${value}` : String(value)
  }
  return headers
}

function toResponse(answer: Answer, method: string): Response {
  const { status, data } = answer
  const headers = new Headers()
  for (const [name, value] of Object.entries(answer.headers)) {
    // Undone on the way: these describe bytes that nobody will see.
    if (name === 'content-encoding' || (name === 'content-length' && 'content-encoding' in answer.headers))
      continue
    if (name !== 'set-cookie') headers.append(name, value)
  }
  for (const cookie of answer.setCookie ?? []) headers.append('set-cookie', cookie)
  const empty = NULL_BODY.has(status) || method === 'HEAD'
  if (empty && data instanceof ReadableStream) data.cancel().catch(() => {})
  const response = new Response(empty ? null : (data as ReadableStream<Uint8Array<ArrayBuffer>>), {
    status,
    headers,
  })
  const { finalUrl, redirected } = answer
  Object.defineProperty(response, 'url', { value: finalUrl })
  Object.defineProperty(response, 'redirected', { value: redirected })
  return response
}

/** The error that fetch would reject with: `signal.reason`, a TypeError for the network, ours where a policy refused or time ran out. */
export function asFetchError(error: unknown, signal: AbortSignal | undefined): unknown {
  if (error instanceof AbortError && signal?.aborted) return signal.reason
  if (error instanceof CommsError && (error.code === 'NETWORK' || error.code === 'BAD_REQUEST')) {
    return new TypeError(`fetch failed: ${error.message}`, { cause: error })
  }
  return error
}
