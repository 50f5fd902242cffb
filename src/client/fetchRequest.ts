// What `client.fetch` was asked for: (input, init) as the Fetch standard's `new Request(input, init)` reads and refuses them,
// with the body kept as it was given, so that its length is known and it can be sent again.

import type { Clock } from '../core/clock.ts'
import {
  bytesOf,
  isBlob,
  isForm,
  isIterable,
  isNodeForm,
  isOldStream,
  isSearchParams,
  isWebStream,
  tagOf,
} from '../http/bodyKinds.ts'
import { readAhead } from './readAhead.ts'

/** A request as fetch understands it. */
export interface FetchRequest {
  readonly url: string | URL
  /** In upper case. */
  readonly method: string
  readonly body: unknown
  /** `null` takes away what the client would send by itself. */
  readonly headers: Record<string, string | null>
  readonly redirect: RequestRedirect
  readonly integrity: string
  /** The rest, for a transport that stands on the platform's fetch. */
  readonly platformInit: RequestInit | undefined
}

/** What is seen to here; everything else is the platform's to check and to do. */
const OWN: ReadonlySet<string> = new Set([
  'body',
  'duplex',
  'headers',
  'integrity',
  'method',
  'redirect',
  'signal',
])

/** Members of a Request that are the platform's, with what they are when nothing was said. */
const PLATFORM_DEFAULTS = {
  cache: 'default',
  credentials: 'same-origin',
  keepalive: false,
  mode: 'cors',
  referrer: 'about:client',
  referrerPolicy: '',
} as const

const FORBIDDEN_METHOD = /^(?:CONNECT|TRACE|TRACK)$/i
const TOKEN = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/

/** Whether a value is a Request, of this realm and copy of fetch or of another. */
export function isRequest(input: unknown): input is Request {
  return tagOf(input) === 'Request' && typeof (input as Request).url === 'string'
}

/** A Request of the platform's own; its body is now that one's to read. @throws TypeError when it has been read */
export function asNativeRequest(input: Request): Request {
  if (input instanceof Request) return input
  const { url, method, headers, body, bodyUsed, redirect, integrity, signal } = input
  if (bodyUsed) throw new TypeError('the body of the Request has been read')
  const init: RequestInit & { duplex: 'half' } = {
    method,
    headers: [...headers],
    redirect,
    integrity,
    duplex: 'half',
  }
  if ((signal as unknown) instanceof AbortSignal) init.signal = signal
  if (body) init.body = webStream(body)
  return new Request(url, init)
}

/**
 * @param resolve makes a relative URL absolute
 * @param clock by which a body that is slow to come is not waited for
 * @throws TypeError as `new Request(input, init)` does
 */
export async function readFetchRequest(
  input: string | URL | Request,
  init: RequestInit,
  resolve: (url: string) => string,
  clock: Clock,
): Promise<FetchRequest> {
  checkOwn(init)
  if (isRequest(input)) return fromRequest(input, init, clock)
  const url = String(input)
  const platformInit = platformPart(init)
  // Costs a Request: made only where there is something that the platform alone can judge.
  if (platformInit) void new Request(resolve(url), platformInit)
  const method = methodOf(init.method)
  const body = bodyOf(init, method)
  return {
    url,
    method,
    body,
    headers: headersOf(init.headers && new Headers(init.headers), body),
    redirect: init.redirect ?? 'follow',
    integrity: init.integrity ?? '',
    platformInit,
  }
}

/** A small body is read before it is sent, so that it has a length and can be sent again. */
async function fromRequest(input: Request, init: RequestInit, clock: Clock): Promise<FetchRequest> {
  const { signal: _, ...rest } = init
  const request = new Request(asNativeRequest(input), rest)
  const { url, method, redirect, integrity } = request
  let body: unknown
  // Not every browser shows the body of a Request.
  if (request.body === undefined) {
    const buffer = await request.arrayBuffer()
    if (buffer.byteLength > 0) body = new Uint8Array(buffer)
  } else if (request.body) body = await readAhead(request.body, clock)
  const platformInit: Record<string, unknown> = { ...platformPart(init) }
  for (const [name, usual] of Object.entries(PLATFORM_DEFAULTS)) {
    const value = request[name as keyof typeof PLATFORM_DEFAULTS] as unknown
    if (value !== undefined && value !== usual) platformInit[name] = value
  }
  return {
    url,
    method: methodOf(method),
    body,
    headers: headersOf(request.headers, body),
    redirect,
    integrity,
    platformInit: Object.keys(platformInit).length > 0 ? platformInit : undefined,
  }
}

/** @throws TypeError for what is not what the standard allows in those members that are seen to here */
function checkOwn({ signal, redirect, ...rest }: RequestInit & { duplex?: unknown }): void {
  if (signal !== undefined && signal !== null && typeof signal.addEventListener !== 'function')
    throw new TypeError('fetch: "signal" must be an AbortSignal')
  if (redirect !== undefined && !/^(?:follow|error|manual)$/.test(redirect))
    throw new TypeError('fetch: "redirect" must be "follow", "error" or "manual"')
  if (rest.duplex !== undefined && rest.duplex !== 'half')
    throw new TypeError('fetch: "duplex" must be "half"')
  if ((rest as { dispatcher?: unknown }).dispatcher !== undefined)
    throw new TypeError('fetch: "dispatcher" cannot be given for one call: it is an option of the client')
}

function platformPart(init: RequestInit): RequestInit | undefined {
  let part: Record<string, unknown> | undefined
  for (const [name, value] of Object.entries(init)) {
    if (value === undefined || OWN.has(name)) continue
    part ??= {}
    part[name] = value
  }
  return part
}

/** The standard writes only six names in capitals; all are sent so here: no server knows `patch`. */
function methodOf(given: string | undefined): string {
  if (given === undefined) return 'GET'
  const method = String(given)
  if (!TOKEN.test(method) || FORBIDDEN_METHOD.test(method))
    throw new TypeError(`fetch: the method ${JSON.stringify(method.slice(0, 100))} cannot be sent`)
  return method.toUpperCase()
}

function bodyOf(init: RequestInit & { duplex?: 'half' }, method: string): unknown {
  const body: unknown = init.body
  if (body === undefined || body === null) return undefined
  if (method === 'GET' || method === 'HEAD') throw new TypeError(`fetch: ${method} cannot have a body`)
  if (typeof body !== 'object') return typeof body === 'function' ? body : String(body)
  if (bytesOf(body) || isBlob(body) || isSearchParams(body) || isNodeForm(body) || isForm(body)) return body
  if (isWebStream(body) || isIterable(body) || isOldStream(body)) {
    if (init.duplex === undefined)
      throw new TypeError('fetch: a body that is a stream needs "duplex: \'half\'"')
    // Whether it has been read is known to the platform alone.
    if (body instanceof ReadableStream) void new Response(body)
    return body
  }
  return String(body)
}

/** @throws TypeError where a length is told that the body does not have */
function headersOf(given: Headers | undefined, body: unknown): Record<string, string | null> {
  const headers: Record<string, string | null> = Object.create(null)
  if (given) for (const [name, value] of given) headers[name] = value
  const told = headers['content-length']
  const length = told ? lengthOf(body) : undefined
  if (length !== undefined && Number(told) !== length)
    throw new TypeError(`fetch: "content-length" says ${told} bytes, and the body has ${length}`)
  headers.accept ??= '*/*'
  if (!('content-type' in headers) && hasNoType(body)) headers['content-type'] = null
  return headers
}

/** Fetch names a type where the body says one, and none for bytes. */
function hasNoType(body: unknown): boolean {
  if (typeof body === 'function') return true
  if (typeof body !== 'object' || body === null) return false
  if (isSearchParams(body) || isForm(body) || isNodeForm(body)) return false
  return !(isBlob(body) && body.type)
}

/** A stream of another realm as one of the platform's. */
function webStream(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array<ArrayBuffer>> {
  if (body instanceof ReadableStream) return body as ReadableStream<Uint8Array<ArrayBuffer>>
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await reader.read()
        if (done) controller.close()
        else controller.enqueue(value as Uint8Array<ArrayBuffer>)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/** In bytes, where it is known. */
function lengthOf(body: unknown): number | undefined {
  if (typeof body === 'string') return new TextEncoder().encode(body).byteLength
  if (typeof body !== 'object' || body === null) return undefined
  return isBlob(body) ? body.size : bytesOf(body)?.byteLength
}
