// A response body handed out as a web stream: backpressure reaches the socket, decoded bytes are counted.

import { pipeline, type Transform } from 'node:stream'
import { decodingStreams } from './undiciDecoding.ts'

/** How a body moves the connection that feeds it. */
export interface BodySource {
  pause(): void
  resume(): void
  /** Nobody reads on. */
  abandon(reason: unknown): void
}

/** Where `push` and `end` are fed and `stream` is read. */
export class StreamedBody {
  readonly stream: ReadableStream<Uint8Array>
  readonly #source: BodySource
  readonly #codings: readonly string[]
  readonly #maxBytes: number
  readonly #tooLarge: () => unknown
  readonly #broken: (cause: unknown) => unknown
  #output!: ReadableStreamDefaultController<Uint8Array>
  #decoders: Transform[] | undefined
  #length = 0
  #over = false

  /**
   * @param tooLarge makes the error of a body beyond `maxBytes`
   * @param broken makes the error of a body that cannot be decoded
   */
  constructor(
    source: BodySource,
    codings: readonly string[],
    maxBytes: number,
    tooLarge: () => unknown,
    broken: (cause: unknown) => unknown,
  ) {
    this.#source = source
    this.#codings = codings
    this.#maxBytes = maxBytes
    this.#tooLarge = tooLarge
    this.#broken = broken
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#output = controller
        },
        pull: () => {
          if (this.#decoders) this.#decoders.at(-1)?.resume()
          else source.resume()
        },
        cancel: (reason) => {
          this.#over = true
          this.#dropDecoders()
          source.abandon(reason)
        },
      },
      { highWaterMark: 65_536, size: (chunk) => chunk.byteLength },
    )
  }

  push(chunk: Uint8Array): void {
    if (this.#over) return
    if (this.#codings.length === 0) {
      this.#deliver(chunk)
      if (!this.#over && (this.#output.desiredSize ?? 0) <= 0) this.#source.pause()
      return
    }
    this.#decoders ??= this.#makeDecoders(chunk)
    const [first] = this.#decoders
    if (first && !first.write(chunk)) {
      this.#source.pause()
      first.once('drain', () => this.#source.resume())
    }
  }

  end(): void {
    if (this.#over) return
    if (this.#decoders) this.#decoders[0]?.end()
    else this.#close()
  }

  /** Ends the stream with an error. */
  fail(error: unknown): void {
    if (this.#over) return
    this.#over = true
    this.#dropDecoders()
    this.#output.error(error)
  }

  #makeDecoders(firstBytes: Uint8Array): Transform[] {
    const decoders = decodingStreams(this.#codings, firstBytes)
    const last = decoders.at(-1) as Transform
    last.on('data', (decoded: Uint8Array) => {
      this.#deliver(decoded)
      if (!this.#over && (this.#output.desiredSize ?? 0) <= 0) last.pause()
    })
    last.on('end', () => this.#close())
    const onError = (error: Error | null | undefined) => {
      if (!error || this.#over) return
      this.fail(this.#broken(error))
      this.#source.abandon(error)
    }
    if (decoders.length === 1) last.on('error', onError)
    else pipeline(decoders, onError)
    return decoders
  }

  #deliver(chunk: Uint8Array): void {
    if (this.#over) return
    this.#length += chunk.byteLength
    if (this.#length > this.#maxBytes) {
      const error = this.#tooLarge()
      this.fail(error)
      this.#source.abandon(error)
      return
    }
    this.#output.enqueue(chunk)
  }

  #close(): void {
    if (this.#over) return
    this.#over = true
    this.#output.close()
  }

  #dropDecoders(): void {
    for (const decoder of this.#decoders ?? []) decoder.destroy()
  }
}
