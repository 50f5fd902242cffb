import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { payloadBytes, TEXT } from '../session/frames.ts'
import { decodeNote, decodePost, encodeNote, encodePost, encodeWrites, unpack } from './sessionWire.ts'

const bytes = fc.uint8Array({ maxLength: 50 }).map((one) => new Uint8Array(one))
const payload = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant('\ufeff\n \0'), bytes)

describe('what lies in the engine', () => {
  it('gives posted messages back as they were', () => {
    fc.assert(
      fc.property(
        payload,
        fc.integer(),
        fc.constantFrom(-1, 1_893_456_000_123.5),
        (data, priority, expiresAt) => {
          const stream = typeof data === 'string' ? TEXT : 7
          const blob = encodePost({ stream, payload: data, priority, expiresAt, token: '1' }, 'store.1')
          const reply = [new TextEncoder().encode('5-1'), [new TextEncoder().encode('e'), blob]]
          expect(decodePost(reply)).toEqual({
            id: '5-1',
            from: 'store.1',
            stream,
            payload: data,
            priority,
            expiresAt,
          })
        },
      ),
    )
  })

  it('reads what a script has packed, and nothing of what is cut short or goes on', () => {
    const text = (value: string | number) => Buffer.from(`${value}`)
    const packed = Buffer.from('*4\n$2\n17*2\n$0\n$3\n*1\n*0\n$1\n$')
    expect(unpack(packed)).toEqual([text(17), [text(''), text('*1\n')], [], text('$')])
    for (let cut = 0; cut < packed.length; cut += 1) expect(unpack(packed.subarray(0, cut))).toBeUndefined()
    expect(unpack(Buffer.concat([packed, text('x')]))).toBeUndefined()
    expect(unpack(text('$1\nx'))).toBeUndefined()
    fc.assert(fc.property(bytes, (any) => void unpack(any)))
  })

  it('takes no notice of what is no note', () => {
    expect(decodeNote(new TextEncoder().encode('hello'))).toBeUndefined()
    expect(decodeNote(new Uint8Array())).toBeUndefined()
    const heard = decodeNote<{ t: string }>(encodeNote({ t: 'want' }, 'x'))
    expect([heard?.note, payloadBytes('x')]).toEqual([{ t: 'want' }, heard?.body.length])
  })

  it('knows which batches need room: a full engine takes the others', () => {
    const entry = { seq: 1, stream: TEXT, payload: 'x', bytes: 1, priority: 0, expiresAt: -1 }
    const grows = (...writes: Parameters<typeof encodeWrites>[0]) => encodeWrites(writes).grows
    expect(grows({ kind: 'accept', entry })).toBe(true)
    expect(grows({ kind: 'number', sid: 's', number: 1, entry })).toBe(true)
    expect(
      grows(
        { kind: 'rx', sid: 's', rx: 1 },
        { kind: 'prune', sid: 's', acked: 1 },
        { kind: 'epoch', sid: 's', epoch: 1 },
        { kind: 'drop', seq: 1 },
        { kind: 'void', sid: 's', number: 1 },
        { kind: 'took', sid: 's', id: '1-1' },
        { kind: 'end', sid: 's', requeue: false },
      ),
    ).toBe(false)
  })
})
