// Reading a fetch Response with a limit: whole, or as a stream that passes the bytes on.

import { ByteChunks } from './byteChunks.ts'
import type { HttpRequest } from './HttpTransport.ts'
import { responseTooLarge } from './httpFailures.ts'

/** Counts the bytes of one body. */
class ByteCount {
  received = 0
  readonly #request: HttpRequest
  readonly #announced: number | undefined

  constructor(request: HttpRequest, announced: number | undefined) {
    this.#request = request
    this.#announced = announced
  }

  /** @throws CommsError `RESPONSE_TOO_LARGE` */
  add(bytes: number): void {
    this.received += bytes
    if (this.received > this.#request.maxResponseBytes) throw responseTooLarge(this.#request)
    this.#request.onDownloadProgress?.(this.received, this.#announced)
  }
}

/**
 * The whole body.
 * @throws CommsError `RESPONSE_TOO_LARGE`; else what the platform throws
 */
export async function readWhole(
  body: ReadableStream<Uint8Array> | null,
  request: HttpRequest,
  announced: number | undefined,
): Promise<Uint8Array> {
  if (!body) return new Uint8Array(0)
  const count = new ByteCount(request, announced)
  const chunks = new ByteChunks()
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    count.add(value.byteLength)
    chunks.add(value)
  }
  return chunks.whole()
}

/** A body to hand out, and the means to fail it from outside. */
export interface LimitedStream {
  readonly stream: ReadableStream<Uint8Array>
  fail(error: unknown): void
}

/**
 * The body chunk by chunk, no faster than it is read.
 * @param onCancel the reader has had enough
 * @param onEnd the last byte has been read
 * @param translate makes our error of what the platform throws
 */
export function limitedStream(
  body: ReadableStream<Uint8Array> | null,
  request: HttpRequest,
  announced: number | undefined,
  onCancel: (reason: unknown) => void,
  onEnd: () => void,
  translate: (error: unknown) => unknown,
): LimitedStream {
  const count = new ByteCount(request, announced)
  const reader = body?.getReader()
  let output!: ReadableStreamDefaultController<Uint8Array>
  let over = false
  const fail = (error: unknown) => {
    if (over) return
    over = true
    output.error(error)
  }
  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        output = controller
      },
      async pull() {
        try {
          const result = await reader?.read()
          if (over) return
          if (!result || result.done) {
            over = true
            output.close()
            onEnd()
            return
          }
          count.add(result.value.byteLength)
          output.enqueue(result.value)
        } catch (error) {
          fail(translate(error))
          onCancel(error)
        }
      },
      cancel(reason) {
        over = true
        onCancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
  return { stream, fail }
}
