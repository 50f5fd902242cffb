// HTTP where there is no undici: browsers, Bun, Deno, and whoever brings a `fetch` of his own. The platform decides about
// connections, compression and, in browsers, redirects and cookies; `capabilities` says what that leaves out.

import { CommsError } from '../core/errors.ts'
import { limitedStream, readWhole } from './fetchBody.ts'
import type {
  HttpExchange,
  HttpHeaders,
  HttpReceiver,
  HttpRequest,
  HttpTransport,
  HttpTransportCapabilities,
  HttpTransportOptions,
} from './HttpTransport.ts'
import { contentCodings } from './httpEncodings.ts'
import { headersTooLarge, networkError, responseTooLarge, uploadFailed } from './httpFailures.ts'
import { Upload } from './httpUpload.ts'

/** Browsers follow redirects unseen and hide cookies; other platforms hand both over. */
const isBrowser = 'document' in globalThis || 'importScripts' in globalThis

class FetchTransport implements HttpTransport {
  readonly capabilities: HttpTransportCapabilities = capabilities
  readonly acceptEncoding = undefined
  readonly #options: HttpTransportOptions
  readonly #decoder = new TextDecoder()
  readonly #running = new Set<FetchExchange>()
  #disposed = false

  constructor(options: HttpTransportOptions) {
    this.#options = options
  }

  send(request: HttpRequest, receiver: HttpReceiver): HttpExchange {
    const exchange = new FetchExchange(request, receiver, this.#options, (over) => this.#running.delete(over))
    this.#running.add(exchange)
    if (this.#disposed) {
      queueMicrotask(() =>
        exchange.fail(new CommsError('the transport has been disposed', { code: 'DISPOSED' })),
      )
    } else {
      exchange.start()
    }
    return exchange
  }

  decodeText(bytes: Uint8Array): string {
    return this.#decoder.decode(bytes)
  }

  dispose(): void {
    this.#disposed = true
    const error = new CommsError('the transport has been disposed', { code: 'DISPOSED' })
    for (const exchange of this.#running) exchange.fail(error)
  }
}

class FetchExchange implements HttpExchange {
  readonly #request: HttpRequest
  readonly #options: HttpTransportOptions
  readonly #onOver: (exchange: FetchExchange) => void
  readonly #controller = new AbortController()
  #receiver: HttpReceiver | undefined
  #upload: Upload | undefined
  #failStream: ((error: unknown) => void) | undefined

  constructor(
    request: HttpRequest,
    receiver: HttpReceiver,
    options: HttpTransportOptions,
    onOver: (exchange: FetchExchange) => void,
  ) {
    this.#request = request
    this.#receiver = receiver
    this.#options = options
    this.#onOver = onOver
  }

  start(): void {
    this.#run().catch((error: unknown) => this.fail(this.#translate(error)))
  }

  cancel(reason: unknown): void {
    if (!this.#receiver && !this.#failStream) return
    this.#receiver = undefined
    this.#stop(reason)
  }

  /** Reports a failure, once; a stream that has been handed out fails with it. */
  fail(error: CommsError): void {
    const receiver = this.#receiver
    this.#receiver = undefined
    this.#stop(error)
    receiver?.onFailure(error)
  }

  #stop(reason: unknown): void {
    this.#onOver(this)
    this.#failStream?.(reason)
    this.#failStream = undefined
    this.#upload?.stop(reason)
    this.#controller.abort(reason)
  }

  async #run(): Promise<void> {
    const request = this.#request
    const send = this.#options.fetch ?? globalThis.fetch
    // Whether a byte has left cannot be known here, so it has to be assumed.
    this.#receiver?.onSent()
    const response = await send(request.origin + request.path, this.#init())
    if (!this.#receiver) return
    const headers = this.#readHeaders(response.headers)
    contentCodings(headers['content-encoding'])
    const length = request.method === 'HEAD' ? 0 : Number(headers['content-length'] ?? 0)
    if (length > request.maxResponseBytes) throw responseTooLarge(request)
    const announced = length > 0 ? length : undefined
    const asStream = this.#receiver.onHead(response.status, headers)
    const head = {
      status: response.status,
      headers,
      finalUrl: response.redirected ? response.url : undefined,
      setCookie: 'set-cookie' in headers ? response.headers.getSetCookie() : undefined,
    }
    if (asStream) {
      const { stream, fail } = limitedStream(
        response.body,
        request,
        announced,
        (reason) => this.#stop(reason),
        () => this.#onOver(this),
        (error) => this.#translate(error),
      )
      this.#failStream = fail
      const receiver = this.#receiver
      this.#receiver = undefined
      receiver.onResponse({ ...head, body: stream })
      return
    }
    const body = await readWhole(response.body, request, announced)
    const receiver = this.#receiver
    this.#receiver = undefined
    this.#onOver(this)
    receiver?.onResponse({ ...head, body })
  }

  #init(): RequestInit {
    const { method, headers, body, mayFollowUnseen } = this.#request
    const init: RequestInit & { duplex?: 'half' } = {
      method,
      headers,
      body: null,
      signal: this.#controller.signal,
      redirect: isBrowser ? (mayFollowUnseen ? 'follow' : 'error') : 'manual',
    }
    if (this.#options.credentials) init.credentials = this.#options.credentials
    if (typeof body === 'string' || body instanceof Uint8Array || body instanceof Blob) {
      init.body = body as BodyInit
    } else if (body) {
      if (!uploadsStreams()) {
        throw new CommsError('this platform cannot send a stream: give a string, bytes, a Blob or FormData', {
          code: 'UNSUPPORTED',
        })
      }
      this.#upload = new Upload(body)
      init.body = asByteStream(this.#upload)
      init.duplex = 'half'
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
    const cause = error instanceof TypeError && error.cause !== undefined ? error.cause : error
    const code = (cause as { code?: unknown } | null)?.code
    if (code === 'UND_ERR_HEADERS_OVERFLOW') return headersTooLarge(this.#request, cause)
    const neverSent = typeof code === 'string' && neverConnected.has(code) && !this.#upload?.opened
    return networkError(this.#request, cause, neverSent)
  }
}

/** Codes of Node's and Bun's fetch for "no connection came about". */
const neverConnected: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ConnectionRefused',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

let uploads: boolean | undefined

/** Whether `fetch` here sends streams: one that does not turns a stream into text, with a content type, and never asks for `duplex`. */
function uploadsStreams(): boolean {
  if (uploads === undefined) {
    let asked = false
    const probe = new Request('http://localhost/', {
      method: 'POST',
      body: new ReadableStream(),
      get duplex(): 'half' {
        asked = true
        return 'half'
      },
    } as RequestInit)
    uploads = asked && !probe.headers.has('content-type')
  }
  return uploads
}

function asByteStream(upload: Upload): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await upload.next()
        if (done) controller.close()
        else controller.enqueue(typeof value === 'string' ? encoder.encode(value) : value)
      },
      cancel: (reason) => upload.stop(reason),
    },
    // Read nothing before somebody asks: an untouched body can still be sent by another attempt.
    { highWaterMark: 0 },
  )
}

const capabilities: HttpTransportCapabilities = Object.freeze({
  tellsSent: false,
  connectTimeout: false,
  manualRedirects: !isBrowser,
  boundedHeaders: false,
  boundedEncodings: false,
  get uploadStreams() {
    return uploadsStreams()
  },
  uploadProgress: false,
  cookies: !isBrowser,
  ownsConnections: false,
})

/** Makes the transport of this platform: the global `fetch`. */
export function createHttpTransport(options: HttpTransportOptions): HttpTransport {
  return new FetchTransport(options)
}
