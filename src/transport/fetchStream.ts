// A fetch Response's body handed out as a stream, with a limit.

/** A body to hand out, and the means to fail it from outside. */
export interface LimitedStream {
  readonly stream: ReadableStream<Uint8Array>
  fail(error: unknown): void
}

/**
 * The body chunk by chunk, no faster than it is read.
 * @param count told of every chunk; throws when there have been too many bytes
 * @param onCancel the reader has had enough
 * @param onEnd the last byte has been read
 * @param translate makes our error of what the platform throws
 */
export function limitedStream(
  body: ReadableStream<Uint8Array> | null,
  count: (bytes: number) => void,
  onCancel: (reason: unknown) => void,
  onEnd: () => void,
  translate: (error: unknown) => unknown,
): LimitedStream {
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
          count(result.value.byteLength)
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
