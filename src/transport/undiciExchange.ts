// One attempt through an undici Dispatcher: its handler. Collects or streams the body, counts bytes, names errors.

import type { Dispatcher } from 'undici'
import { type CommsError, TimeoutError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { ByteChunks } from './byteChunks.ts'
import type { HttpExchange, HttpHeaders, HttpReceiver, HttpRequest, HttpResponse } from './HttpTransport.ts'
import { contentCodings } from './httpEncodings.ts'
import {
  badResponse,
  describeRequest,
  headersTooLarge,
  networkError,
  responseTooLarge,
  uploadFailed,
} from './httpFailures.ts'
import { announcedLength, type Upload } from './httpUpload.ts'
import { StreamedBody } from './undiciBody.ts'
import { decodeWhole, isTooLong, unknownCoding } from './undiciDecoding.ts'

type Controller = Dispatcher.DispatchController

const NO_BYTES = Buffer.alloc(0)

export class UndiciExchange implements HttpExchange, Dispatcher.DispatchHandler {
  /** Undefined once the receiver has heard the last of it. */
  #receiver: HttpReceiver | undefined
  readonly #request: HttpRequest
  readonly #upload: Upload | undefined
  readonly #connectTimeoutMs: number
  #controller: Controller | undefined
  #starting = true
  #sent = false
  #status = 0
  #statusText: string | undefined
  #headers: HttpHeaders = noHeaders
  #setCookie: readonly string[] | undefined
  #chunk: Uint8Array | undefined
  #moreChunks: ByteChunks | undefined
  #streamed: StreamedBody | undefined
  #received = 0
  #uploaded = 0

  constructor(
    request: HttpRequest,
    receiver: HttpReceiver,
    upload: Upload | undefined,
    connectTimeoutMs: number,
  ) {
    this.#request = request
    this.#receiver = receiver
    this.#upload = upload
    this.#connectTimeoutMs = connectTimeoutMs
  }

  /** `dispatch` has returned: from now on failures may be reported at once. */
  started(): void {
    this.#starting = false
  }

  cancel(reason: unknown): void {
    const streamed = this.#streamed
    if (!this.#receiver && !streamed) return
    this.#receiver = undefined
    this.#upload?.stop(reason)
    streamed?.fail(reason)
    // Without a controller it still waits for a connection; `onRequestStart` will turn it away.
    this.#controller?.abort(asError(reason))
  }

  onRequestStart(controller: Controller): void {
    // Throwing refuses the request and keeps the fresh connection for others; `abort` would destroy it.
    if (!this.#receiver) throw new Error('abandoned before it was sent')
    this.#controller = controller
    if (this.#sent) return
    this.#sent = true
    this.#receiver.onSent()
  }

  onBodySent(chunk: Uint8Array | string): void {
    const { onUploadProgress } = this.#request
    if (!onUploadProgress) return
    this.#uploaded += typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.byteLength
    onUploadProgress(this.#uploaded, lengthOf(this.#request))
  }

  onResponseStart(
    _: Controller,
    status: number,
    fields: Record<string, string | string[] | undefined>,
    statusText?: string,
  ): void {
    // 1xx are news on the way, not the answer.
    if (status < 200 || !this.#receiver) return
    const request = this.#request
    this.#status = status
    this.#statusText = statusText
    const size = this.#takeHeaders(fields)
    if (size > request.maxHeaderBytes) {
      this.#fail(headersTooLarge(request))
      return
    }
    if (this.#announcedBytes() > request.maxResponseBytes) {
      this.#fail(responseTooLarge(request))
      return
    }
    const form = this.#receiver.onHead(status, this.#headers)
    if (!form) return
    // One that is packed is unpacked as it is read: nothing but its reader needs to hear that it is broken.
    if (form === true || this.#headers['content-encoding'] !== undefined) this.#startStream()
    // What came in one piece with the headers is reported before this runs, and needs no stream.
    else queueMicrotask(() => this.#streamTheRest())
  }

  #streamTheRest(): void {
    if (!this.#receiver) return
    const begun = this.#moreChunks?.whole() ?? this.#chunk
    this.#chunk = this.#moreChunks = undefined
    this.#startStream()
    if (begun) this.#streamed?.push(begun)
  }

  onResponseData(controller: Controller, chunk: Uint8Array): void {
    const request = this.#request
    this.#received += chunk.byteLength
    if (request.onDownloadProgress) {
      const announced = this.#announcedBytes()
      request.onDownloadProgress(this.#received, announced > 0 ? announced : undefined)
    }
    if (this.#streamed) {
      this.#streamed.push(chunk)
      return
    }
    if (!this.#receiver) return
    if (this.#received > request.maxResponseBytes) {
      this.#fail(responseTooLarge(request))
      controller.abort(new Error('the body is too large'))
    } else if (!this.#chunk) {
      this.#chunk = chunk
    } else {
      if (!this.#moreChunks) {
        this.#moreChunks = new ByteChunks()
        this.#moreChunks.add(this.#chunk)
      }
      this.#moreChunks.add(chunk)
    }
  }

  onResponseEnd(): void {
    if (this.#streamed) {
      this.#streamed.end()
      return
    }
    if (!this.#receiver) return
    const bytes = this.#moreChunks?.whole() ?? this.#chunk ?? NO_BYTES
    if (bytes.byteLength === 0 || this.#headers['content-encoding'] === undefined) this.#deliver(bytes)
    else this.#decode(bytes)
  }

  onResponseError(_: Controller | null, error: Error): void {
    const streamed = this.#streamed
    this.#upload?.stop(error)
    if (streamed) streamed.fail(this.#translate(error))
    if (!this.#receiver) return
    if (this.#starting) queueMicrotask(() => this.#fail(this.#translate(error)))
    else this.#fail(this.#translate(error))
  }

  #startStream(): void {
    const request = this.#request
    let codings: readonly string[]
    try {
      codings = this.#codings()
    } catch (error) {
      this.#fail(error as CommsError)
      return
    }
    const streamed = new StreamedBody(
      {
        pause: () => this.#controller?.pause(),
        resume: () => this.#controller?.resume(),
        abandon: (reason) => this.#controller?.abort(asError(reason)),
      },
      codings,
      request.maxResponseBytes,
      () => responseTooLarge(request),
      (cause) => badResponse(request, 'the body cannot be decompressed', cause),
    )
    this.#streamed = streamed
    this.#deliver(streamed.stream)
  }

  #decode(bytes: Uint8Array): void {
    const request = this.#request
    let codings: readonly string[]
    try {
      codings = this.#codings()
    } catch (error) {
      this.#fail(error as CommsError)
      return
    }
    decodeWhole(bytes, codings, request.maxResponseBytes, (error, decoded) => {
      if (!error) this.#deliver(decoded)
      else if (isTooLong(error)) this.#fail(responseTooLarge(request))
      else this.#fail(badResponse(request, 'the body cannot be decompressed', error))
    })
  }

  /** @throws CommsError when the body cannot be decoded */
  #codings(): readonly string[] {
    const codings = contentCodings(this.#headers['content-encoding'])
    const unknown = unknownCoding(codings)
    if (unknown !== undefined) throw badResponse(this.#request, `content-encoding "${unknown}" is not known`)
    return codings
  }

  #deliver(body: HttpResponse['body']): void {
    const receiver = this.#receiver
    this.#receiver = undefined
    receiver?.onResponse({
      status: this.#status,
      statusText: this.#statusText,
      headers: this.#headers,
      finalUrl: undefined,
      setCookie: this.#setCookie,
      body,
    })
  }

  #fail(error: CommsError): void {
    const receiver = this.#receiver
    if (!receiver) return
    this.#receiver = undefined
    this.#controller?.abort(error)
    this.#upload?.stop(error)
    receiver.onFailure(error)
  }

  /** Joins repeated fields and returns how many bytes they took. */
  #takeHeaders(fields: Record<string, string | string[] | undefined>): number {
    let size = 0
    for (const name in fields) {
      const value = fields[name]
      if (typeof value === 'string') {
        size += name.length + value.length
        if (name === 'set-cookie') this.#setCookie = [value]
      } else if (value) {
        if (name === 'set-cookie') this.#setCookie = value
        const joined = value.join(', ')
        fields[name] = joined
        size += value.length * name.length + joined.length
      }
    }
    this.#headers = fields as HttpHeaders
    return size
  }

  /** What Content-Length promises, 0 where there is none or no body follows. */
  #announcedBytes(): number {
    if (this.#request.method === 'HEAD' || this.#status === 204 || this.#status === 304) return 0
    const length = Number(this.#headers['content-length'] ?? 0)
    return Number.isFinite(length) ? length : 0
  }

  #translate(error: Error): CommsError {
    const request = this.#request
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (this.#upload?.failure) return uploadFailed(request, this.#upload.failure.cause)
    if (code === 'UND_ERR_CONNECT_TIMEOUT') {
      return new TimeoutError(
        `timeout: ${describeRequest(request)}: not connected within ${this.#connectTimeoutMs} ms`,
        {
          url: redactUrl(request.origin + request.path),
          phase: 'connect',
          timeoutMs: this.#connectTimeoutMs,
          cause: error,
        },
      )
    }
    if (code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'HPE_HEADER_OVERFLOW')
      return headersTooLarge(request, error)
    if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return responseTooLarge(request)
    return networkError(request, error, !this.#sent)
  }
}

const noHeaders: HttpHeaders = Object.freeze({})

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('abandoned', { cause: reason })
}

/** How many bytes the request body has, where it is known. */
function lengthOf({ body, headers }: HttpRequest): number | undefined {
  if (typeof body === 'string') return Buffer.byteLength(body)
  if (body instanceof Uint8Array) return body.byteLength
  return body instanceof Blob ? body.size : announcedLength(headers)
}
