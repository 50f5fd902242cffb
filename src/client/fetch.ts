// `client.fetch`: the signature and the manners of WHATWG fetch, with every policy of the client beneath.
// A Response for every status; a body that streams; `signal.reason` when aborted; a TypeError when the network fails.

import { AbortError, CommsError } from '../core/errors.ts'
import { platformFetch } from '../core/platformFetch.ts'
import { isIterable, isWebStream } from '../http/bodyKinds.ts'
import { keepsIntegrity } from '../http/integrity.ts'
import { ask } from './asking.ts'
import type { Answer } from './attempt.ts'
import type { ClientCore, Inherited } from './core.ts'
import { asNativeRequest, type FetchRequest, isRequest, readFetchRequest } from './fetchRequest.ts'
import { FetchResponse } from './fetchResponse.ts'
import { type CallOptions, clientDefaults } from './options.ts'

/** Statuses whose responses have no body (Fetch standard, "null body status"). */
const NULL_BODY: ReadonlySet<number> = new Set([101, 103, 204, 205, 304])

/** Fetch standard, "HTTP-redirect fetch". */
const MAX_REDIRECTS = 20

/** What no network is needed for, and the platform has at hand. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: URLs begin after them
const LOCAL = /^[\x00-\x20]*(?:data|blob):/i

/** @throws what a call throws; see `asFetchError` */
export async function runFetch(
  core: ClientCore,
  input: string | URL | Request,
  init: RequestInit,
  inherited: Inherited,
): Promise<Response> {
  if (LOCAL.test(isRequest(input) ? input.url : String(input)))
    return platformFetch()(isRequest(input) ? asNativeRequest(input) : input, init)
  const { settings, requests } = core
  const resolve = (url: string) => {
    const { origin, path } = requests.targetOf(url)
    return origin + path
  }
  const request = await readFetchRequest(input, init, resolve, settings.clock)
  const { signal, callerSignal = signal } = inherited
  try {
    const call = await answered(core, request, {
      headers: request.headers,
      raw: true,
      ...inherited,
      maxRedirects: request.redirect === 'follow' ? redirectsOf(settings.maxRedirects) : 0,
      platformInit: request.platformInit,
      bodyError: (error) => asFetchError(error, callerSignal, 'terminated'),
    })
    return await toResponse(call, request, callerSignal)
  } catch (error) {
    // The standard cancels a body that will not be sent.
    giveUp(request.body, callerSignal?.aborted ? callerSignal.reason : error)
    throw error
  }
}

/** Another number than the default holds here, too. */
function redirectsOf(maxRedirects: number): number {
  return maxRedirects === clientDefaults.maxRedirects ? MAX_REDIRECTS : maxRedirects
}

async function answered(core: ClientCore, request: FetchRequest, options: CallOptions): Promise<Answer> {
  const { method, url, body } = request
  if (core.intercepts) return (await ask(core, method, url, body, options)).call
  return (await core.call(method, url, body, options, 'answer')) as Answer
}

async function toResponse(
  call: Answer,
  { method, redirect, integrity }: FetchRequest,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const { status, finalUrl, redirected } = call
  const isEmpty = NULL_BODY.has(status) || method === 'HEAD'
  let body = call.data as Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>
  const isMoved = redirect === 'error' && status >= 300 && status < 400 && call.headers.location !== undefined
  if ((isEmpty || isMoved) && body instanceof ReadableStream) body.cancel().catch(() => {})
  if (isMoved) throw new TypeError('fetch failed: a redirect came, and redirect is "error"')
  if (integrity) {
    body = isEmpty ? new Uint8Array(0) : new Uint8Array(await new Response(body).arrayBuffer())
    if (!(await keepsIntegrity(body, integrity)))
      throw new TypeError('fetch failed: the body does not have the hash that "integrity" names')
  }
  return new FetchResponse(isEmpty ? null : body, headersOf(call), {
    status,
    statusText: call.statusText ?? '',
    url: finalUrl,
    redirected,
    type: isElsewhere(finalUrl) ? 'cors' : 'basic',
    signal,
  })
}

/** As they came: as on the platform, `content-encoding` and `content-length` tell of the bytes on the wire. */
function headersOf({ headers, setCookie = [] }: Answer): [string, string][] {
  const pairs = Object.entries(headers).filter(([name]) => name !== 'set-cookie')
  for (const cookie of setCookie) pairs.push(['set-cookie', cookie])
  return pairs
}

/** From another origin than the page's, where there is a page. */
function isElsewhere(url: string): boolean {
  const { location } = globalThis
  return location?.origin !== undefined && new URL(url).origin !== location.origin
}

function giveUp(body: unknown, reason: unknown): void {
  if (isWebStream(body) && !body.locked) body.cancel(reason).catch(() => {})
  else if (isIterable(body)) void (async () => (body as AsyncGenerator).return?.(undefined))().catch(() => {})
}

/** Codes of what a policy decided, or the caller may not do: these are told as they are. */
const OURS: ReadonlySet<string> = new Set([
  'BULKHEAD_FULL',
  'CALLBACK_FAILED',
  'CIRCUIT_OPEN',
  'DISPOSED',
  'INSECURE_URL',
  'LOAD_FAILED',
  'ORIGIN_NOT_ALLOWED',
  'RATE_LIMITED',
  'THROTTLED',
  'TIMEOUT',
  'VALIDATION',
])

/**
 * The error that fetch would reject with: `signal.reason`, a TypeError for the network and for what it cannot take, ours where a
 * policy refused or time ran out.
 * @param lost what the platform says when the network fails, here
 */
export function asFetchError(
  error: unknown,
  signal: AbortSignal | undefined,
  lost = 'fetch failed',
): unknown {
  if (error instanceof AbortError && signal?.aborted) return signal.reason
  if (!(error instanceof CommsError) || error instanceof AbortError || OURS.has(error.code)) return error
  return new TypeError(error.code === 'NETWORK' ? lost : error.message, { cause: error })
}
