// Node streams from before async iteration (`form-data`, `combined-stream`, `request`'s kin) as chunks on demand.

import type { OldStream } from './bodyKinds.ts'

/** Reads nothing before the first chunk is asked for, and pauses the source while nobody asks. */
export async function* readOldStream(
  source: OldStream,
): AsyncGenerator<Uint8Array | string, void, undefined> {
  const chunks: (Uint8Array | string)[] = []
  let ended = false
  let failure: { readonly cause: unknown } | undefined
  let wake = () => {}
  const onData = (chunk: unknown) => {
    chunks.push(chunk as Uint8Array | string)
    source.pause?.()
    wake()
  }
  const onEnd = () => {
    ended = true
    wake()
  }
  const onClose = () => {
    if (!ended) failure ??= { cause: new Error('the stream was closed before its end') }
    wake()
  }
  // Stays: an error that comes after the end must not crash the process.
  source.on('error', (cause) => {
    failure ??= { cause }
    wake()
  })
  source.on('data', onData)
  source.on('end', onEnd)
  source.on('close', onClose)
  try {
    for (;;) {
      const chunk = chunks.shift()
      if (chunk !== undefined) {
        yield chunk
        continue
      }
      if (failure) throw failure.cause
      if (ended) return
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      // May give its next chunk at once.
      source.resume?.()
      await woken
    }
  } finally {
    source.removeListener('data', onData)
    source.removeListener('end', onEnd)
    source.removeListener('close', onClose)
    if (!ended) source.destroy?.()
  }
}
