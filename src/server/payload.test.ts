import { describe, expect, it } from 'vitest'
import { decodeMessage, encodeMessage } from './payload.ts'
import { digestOf, makeNames, sameDigest } from './sessionKeys.ts'

describe('messages of sessions', () => {
  it.each([
    ['text', 'text'],
    [{ a: [1] }, '{"a":[1]}'],
    [null, 'null'],
    [5, '5'],
    [true, 'true'],
  ])('%j travels as %j', (message, payload) => {
    expect(encodeMessage(message)).toBe(payload)
    expect(decodeMessage(payload)).toEqual(message)
  })

  it('bytes are copied, of every kind of view', () => {
    const bytes = Uint8Array.of(0, 1, 2, 3)
    for (const data of [bytes, bytes.buffer, new DataView(bytes.buffer), new Uint16Array(bytes.buffer)]) {
      const payload = encodeMessage(data)
      expect(payload).toEqual(bytes)
      expect((payload as Uint8Array).buffer).not.toBe(bytes.buffer)
    }
    expect(encodeMessage(bytes.subarray(1, 3))).toEqual(Uint8Array.of(1, 2))
    expect(decodeMessage(bytes.subarray(1, 3))).toEqual(Uint8Array.of(1, 2).buffer)
  })

  it.each(['tea', 'nulls', '12 o’clock', '-', '"open', ' '])('the text %j stays a text', (text) => {
    expect(decodeMessage(text)).toBe(text)
  })

  it.each(['{"a":', '[1', ' {'])('%j began like JSON and is none', (text) => {
    expect(() => decodeMessage(text)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }))
  })

  const circle: { self?: unknown } = {}
  circle.self = circle
  it.each([[undefined], [() => {}], [Symbol('x')], [1n], [circle]])('%o cannot travel', (message) => {
    expect(() => encodeMessage(message)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }))
  })
})

describe('names and keys of sessions', () => {
  it('are 128 and 256 bits, and never the same', () => {
    const [one, other] = [makeNames(), makeNames()]
    expect(Buffer.from(one.sid, 'base64url')).toHaveLength(16)
    expect(Buffer.from(one.key, 'base64url')).toHaveLength(32)
    expect(one.sid).not.toBe(other.sid)
    expect(one.key).not.toBe(other.key)
  })

  it('digests of equal keys are the same, of others not, whatever their length', () => {
    expect(sameDigest(digestOf('key'), digestOf('key'))).toBe(true)
    expect(sameDigest(digestOf('key'), digestOf('other'))).toBe(false)
    expect(sameDigest(digestOf('key'), '')).toBe(false)
    expect(digestOf('key')).not.toContain('key')
  })
})
