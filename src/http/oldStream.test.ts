import { EventEmitter } from 'node:events'
import { Stream } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { OldStream } from './bodyKinds.ts'
import { readOldStream } from './oldStream.ts'

/** A stream of the first kind: `data` events while it is not paused. */
function oldStream(chunks: readonly unknown[], end: 'end' | 'close' | 'error' | 'hang' = 'end') {
  const left = [...chunks]
  let flowing = false
  const emitter = new EventEmitter()
  const stream = Object.assign(emitter, {
    destroyed: false,
    pipe: () => {},
    resume() {
      if (flowing) return
      flowing = true
      while (flowing && left.length > 0) emitter.emit('data', left.shift())
      if (flowing && end === 'error') emitter.emit('error', new Error('disk'))
      else if (flowing && end !== 'hang') emitter.emit(end)
    },
    pause() {
      flowing = false
    },
    destroy() {
      stream.destroyed = true
    },
  })
  return { stream: stream as typeof stream & OldStream, left }
}

const read = async (stream: OldStream) => {
  const chunks: unknown[] = []
  for await (const chunk of readOldStream(stream)) chunks.push(chunk)
  return chunks
}

describe('an old node stream', () => {
  it('is read to its end, and nothing is left on it but what keeps an error from crashing', async () => {
    const { stream } = oldStream(['a', Buffer.from('b'), 'c'])
    expect(await read(stream)).toEqual(['a', Buffer.from('b'), 'c'])
    expect([
      stream.listenerCount('data'),
      stream.listenerCount('end'),
      stream.listenerCount('close'),
    ]).toEqual([0, 0, 0])
    expect(() => stream.emit('error', new Error('late'))).not.toThrow()
  })

  it('is read no faster than it is asked', async () => {
    const { stream, left } = oldStream(['a', 'b', 'c'])
    const chunks = readOldStream(stream)
    expect(left).toHaveLength(3)
    await chunks.next()
    expect(left).toHaveLength(2)
    await chunks.return()
    expect(stream.destroyed).toBe(true)
    expect(left).toHaveLength(2)
  })

  it('that fails, or closes before its end, fails the reader after what had come', async () => {
    for (const [end, message] of [
      ['error', 'disk'],
      ['close', 'closed before its end'],
    ] as const) {
      const chunks = readOldStream(oldStream(['a'], end).stream)
      expect(await chunks.next()).toEqual({ done: false, value: 'a' })
      await expect(chunks.next()).rejects.toThrow(message)
    }
  })

  it('of Node itself, without async iteration', async () => {
    const stream = new Stream() as Stream & OldStream
    setImmediate(() => {
      stream.emit('data', 'x')
      stream.emit('end')
    })
    expect(await read(stream)).toEqual(['x'])
  })
})
