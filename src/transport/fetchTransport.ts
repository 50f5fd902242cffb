// HTTP where there is no undici: browsers, Bun, Deno, and whoever brings a `fetch` of his own. The platform decides about
// connections, compression, the formats of bodies and, in browsers, redirects and cookies; `capabilities` says what that
// leaves out.

import { CommsError } from '../core/errors.ts'
import { lazily } from '../core/lazily.ts'
import { platformFetch } from '../core/platformFetch.ts'
import { USER_AGENT } from '../core/version.ts'
import { ByteChunks } from './byteChunks.ts'
import type {
  HttpExchange,
  HttpHeaders,
  HttpReceiver,
  HttpRequest,
  HttpTransport,
  HttpTransportCapabilities,
  HttpTransportOptions,
} from './HttpTransport.ts'
import { headersTooLarge, networkError, responseTooLarge, uploadFailed } from './httpFailures.ts'
import { announcedLength, isStreamed, type Upload, withoutLength } from './httpUpload.ts'

const streaming = lazily(() => import('./fetchStream.ts'))
const uploading = lazily(() => import('./fetchUpload.ts'))

/** Browsers follow redirects unseen and hide cookies; other platforms hand both over. */
const isBrowser = 'document' in globalThis || 'importScripts' in globalThis

/** Elsewhere the platform names itself, and browsers let nobody else do it. */
const isNode =
  !isBrowser &&
  globalThis.process?.release?.name === 'node' &&
  !('Bun' in globalThis) &&
  !('Deno' in globalThis)

/** Makes the transport of this platform: the global `fetch`. */
export function createHttpTransport(options: HttpTransportOptions): HttpTransport {
  const decoder = new TextDecoder()
  const running = new Set<Exchange>()
  let disposed: CommsError | undefined
  return {
    acceptEncoding: undefined,
    userAgent: isNode ? USER_AGENT : undefined,
    send(request, receiver) {
      const exchange = new Exchange(request, receiver, options, running)
      exchange.start(disposed)
      return exchange
    },
    decodeText: (bytes) => decoder.decode(bytes),
    dispose() {
      disposed = new CommsError('the transport has been disposed', { code: 'DISPOSED' })
      for (const exchange of running) exchange.fail(disposed)
    },
  }
}

class Exchange implements HttpExchange {
  readonly #request: HttpRequest
  readonly #options: HttpTransportOptions
  readonly #running: Set<Exchange>
  readonly #controller = new AbortController()
  /** Undefined once it has heard the last of it. */
  #receiver: HttpReceiver | undefined
  #upload: Upload | undefined
  #failStream: ((error: unknown) => void) | undefined
  #received = 0

  constructor(
    request: HttpRequest,
    receiver: HttpReceiver,
    options: HttpTransportOptions,
    running: Set<Exchange>,
  ) {
    this.#request = request
    this.#receiver = receiver
    this.#options = options
    this.#running = running
    running.add(this)
  }

  start(refusal: CommsError | undefined): void {
    this.#run(refusal).catch((error: unknown) => this.fail(this.#translate(error)))
  }

  cancel(reason: unknown): void {
    this.#receiver = undefined
    this.#stop(reason)
  }

  /** Reports a failure, once; a stream that has been handed out fails with it. */
  fail(error: CommsError): void {
    const receiver = this.#receiver
    this.cancel(error)
    receiver?.onFailure(error)
  }

  #stop(reason: unknown): void {
    this.#running.delete(this)
    this.#failStream?.(reason)
    this.#upload?.stop(reason)
    this.#controller.abort(reason)
  }

  async #run(refusal: CommsError | undefined): Promise<void> {
    if (refusal) throw refusal
    const request = this.#request
    const send = this.#options.fetch ?? platformFetch()
    const init = await this.#init()
    // Whether a byte has left cannot be known here, so it has to be assumed.
    this.#receiver?.onSent()
    const response = await send(request.origin + request.path, init)
    if (!this.#receiver) return
    const { status, body } = response
    const headers = this.#readHeaders(response.headers)
    const length = request.method === 'HEAD' ? 0 : Number(headers['content-length'] ?? 0)
    if (length > request.maxResponseBytes) throw responseTooLarge(request)
    const count = (bytes: number) => {
      this.#received += bytes
      if (this.#received > request.maxResponseBytes) throw responseTooLarge(request)
      request.onDownloadProgress?.(this.#received, length || undefined)
    }
    const head = {
      status,
      statusText: response.statusText,
      headers,
      finalUrl: response.redirected ? response.url : undefined,
      setCookie: 'set-cookie' in headers ? response.headers.getSetCookie() : undefined,
    }
    const asStream = this.#receiver.onHead(status, headers)
    const whole = asStream ? await this.#stream(body, count) : await readWhole(body, count)
    const receiver = this.#receiver
    this.#receiver = undefined
    if (!asStream) this.#running.delete(this)
    receiver?.onResponse({ ...head, body: whole })
  }

  async #stream(
    body: ReadableStream<Uint8Array> | null,
    count: (bytes: number) => void,
  ): Promise<ReadableStream<Uint8Array>> {
    const { limitedStream } = await streaming()
    const { stream, fail } = limitedStream(
      body,
      count,
      (reason) => this.#stop(reason),
      () => this.#running.delete(this),
      (error) => this.#translate(error),
    )
    this.#failStream = fail
    return stream
  }

  async #init(): Promise<RequestInit> {
    const { method, headers, body, mayFollowUnseen, platformInit } = this.#request
    const init: RequestInit & { duplex?: 'half' } = {
      ...platformInit,
      method,
      headers: isStreamed(body) ? headers : withoutLength(headers),
      signal: this.#controller.signal,
      redirect: isBrowser ? (mayFollowUnseen ? 'follow' : 'error') : 'manual',
    }
    const { credentials } = this.#options
    if (credentials) init.credentials ??= credentials
    if (isStreamed(body)) {
      const { streamedBody } = await uploading()
      const { upload, stream } = streamedBody(body, announcedLength(headers))
      this.#upload = upload
      init.body = stream
      init.duplex = 'half'
    } else if (body !== undefined) {
      init.body = body as BodyInit
    }
    return init
  }

  #readHeaders(fields: Headers): HttpHeaders {
    const headers: Record<string, string> = Object.create(null)
    let size = 0
    for (const [name, value] of fields) {
      size += name.length + value.length
      headers[name] = name in headers ? `${headers[name]}, ${value}` : value
    }
    if (size > this.#request.maxHeaderBytes) throw headersTooLarge(this.#request)
    return headers
  }

  #translate(error: unknown): CommsError {
    if (error instanceof CommsError) return error
    if (this.#upload?.failure) return uploadFailed(this.#request, this.#upload.failure.cause)
    const cause = (error as Error | null)?.cause ?? error
    const code = String((cause as { code?: unknown } | null)?.code)
    if (code === 'UND_ERR_HEADERS_OVERFLOW') return headersTooLarge(this.#request, cause)
    return networkError(this.#request, cause, NEVER_CONNECTED.test(code) && !this.#upload?.opened)
  }
}

/** Codes of Node's and Bun's fetch for "no connection came about". */
const NEVER_CONNECTED =
  /^(ECONNREFUSED|ConnectionRefused|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/

async function readWhole(
  body: ReadableStream<Uint8Array> | null,
  count: (bytes: number) => void,
): Promise<Uint8Array> {
  const reader = body?.getReader()
  const chunks = new ByteChunks()
  for (;;) {
    const chunk = (await reader?.read())?.value
    if (!chunk) break
    count(chunk.byteLength)
    chunks.add(chunk)
  }
  return chunks.whole()
}

/** What it can do; `uploadStreams` of `fetchUpload.ts` tells about streams. */
export const capabilities: HttpTransportCapabilities = {
  tellsSent: false,
  connectTimeout: false,
  manualRedirects: !isBrowser,
  boundedHeaders: false,
  boundedEncodings: false,
  uploadStreams: true,
  uploadProgress: false,
  cookies: !isBrowser,
  dispatchers: false,
  ownsConnections: false,
}
