// The body of a Request is a stream, whatever it was made of. What is small and there at once is taken as the bytes it was, with
// a length and fit to be sent again; what is large or still being written stays a stream.

import type { Clock } from '../core/clock.ts'
import { ByteChunks } from '../transport/byteChunks.ts'

/** Kept in memory at most, for as long as the call may need it. */
export const READ_AHEAD_BYTES = 1024 * 1024
/** A live stream must not be held up: what has not come by then is not waited for. */
export const READ_AHEAD_MS = 100

/** All bytes of `source` where they are few and come soon; else a stream of all of them. @throws what reading fails with */
export async function readAhead(
  source: ReadableStream<Uint8Array>,
  clock: Clock,
): Promise<Uint8Array | ReadableStream<Uint8Array>> {
  const reader = source.getReader()
  const chunks = new ByteChunks()
  let length = 0
  let expire = () => {}
  const expired = new Promise<undefined>((resolve) => {
    expire = () => resolve(undefined)
  })
  const timer = clock.setTimeout(expire, READ_AHEAD_MS)
  try {
    for (;;) {
      const next = reader.read()
      const result = await Promise.race([next, expired])
      if (!result) return resumed(chunks.whole(), reader, next)
      if (result.done) return chunks.whole()
      chunks.add(result.value)
      length += result.value.byteLength
      if (length > READ_AHEAD_BYTES) return resumed(chunks.whole(), reader, undefined)
    }
  } finally {
    clock.clearTimeout(timer)
  }
}

/** What has been read, and then the rest. */
function resumed(
  begun: Uint8Array,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  underway: Promise<ReadableStreamReadResult<Uint8Array>> | undefined,
): ReadableStream<Uint8Array> {
  let first: Uint8Array | undefined = begun.byteLength > 0 ? begun : undefined
  let next = underway
  // Its failure is the reader's to hear, once somebody reads.
  next?.catch(() => {})
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (first) {
          controller.enqueue(first)
          first = undefined
          return
        }
        const { done, value } = await (next ?? reader.read())
        next = undefined
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
