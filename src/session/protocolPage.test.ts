// The examples of PROTOCOL.md are what this implementation reads and writes.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseControl } from './control.ts'
import { decodeFrame, encodeReliable, encodeVolatile, type Frame, TEXT } from './frames.ts'

const page = readFileSync(new URL('../../PROTOCOL.md', import.meta.url), 'utf8')

/** The lines of the block of this kind. */
function block(kind: string): string[] {
  const [, lines] = new RegExp(`\`\`\`${kind}\\n([^\`]*)\`\`\``).exec(page) ?? []
  if (lines === undefined) throw new Error(`PROTOCOL.md has no block "${kind}"`)
  return lines.trimEnd().split('\n')
}

const hex = (bytes: Uint8Array) =>
  [...bytes].map((byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(' ')

/** A frame in the words of the page. */
function inWords(frame: Frame): string {
  const decoded = decodeFrame(frame)
  if (decoded.kind === 'wrong' || decoded.kind === 'control') return decoded.kind
  const who = decoded.kind === 'reliable' ? `message ${decoded.number}` : 'volatile'
  const { payload, stream } = decoded
  if (typeof payload !== 'string')
    return `${who}, stream ${stream}, ${payload.length > 0 ? `bytes ${hex(payload)}` : 'no bytes'}`
  return payload === '' && decoded.kind === 'reliable'
    ? `${who}, void`
    : `${who}, text ${JSON.stringify(payload)}`
}

function again(frame: Frame): Frame | undefined {
  const decoded = decodeFrame(frame)
  if (decoded.kind === 'reliable') return encodeReliable(decoded.number, decoded.stream, decoded.payload)
  return decoded.kind === 'volatile' ? encodeVolatile(decoded.stream, decoded.payload) : undefined
}

describe('PROTOCOL.md', () => {
  it.each(block('frames'))('%s', (line) => {
    const [, kind, bytes, words] = /^(text|binary) +((?:[0-9A-F]{2} )*) *(.*)$/.exec(line) ?? []
    const raw = Uint8Array.from((bytes ?? '').trim().split(' ').filter(Boolean), (byte) =>
      Number.parseInt(byte, 16),
    )
    const frame: Frame = kind === 'text' ? new TextDecoder().decode(raw) : raw
    expect(inWords(frame)).toBe(words)
    if (words !== 'wrong') expect(again(frame)).toEqual(frame)
  })

  it('has an example of every kind of frame', () => {
    const words = block('frames').join('\n')
    for (const kind of [
      'message 17, text',
      'void',
      'volatile, text',
      'message 258, stream 5',
      'volatile, stream 5',
    ])
      expect(words).toContain(kind)
    expect(decodeFrame(':x')).toMatchObject({ stream: TEXT })
  })

  it.each(block('controls'))('%s', (text) => {
    const control = parseControl(text)
    expect(control).toBeTypeOf('object')
    if (typeof control === 'string') return
    if (text.includes('later version')) expect(control).toEqual({ t: 'unknown' })
    else expect(JSON.stringify(control)).toBe(text)
  })

  it('has an example of every control message', () => {
    const kinds = new Set(block('controls').map((text) => JSON.parse(text).t))
    const known = ['open', 'resume', 'opened', 'ack', 'ping', 'pong', 'flush', 'flushed', 'goaway', 'close']
    for (const kind of known) expect(kinds).toContain(kind)
    // And the table names no other.
    const table = page.slice(page.indexOf('| from | message'), page.indexOf('```controls'))
    const named = [...table.matchAll(/`\{"t":"(\w+)"/g)].map(([, kind]) => kind)
    expect(named.toSorted()).toEqual(known.toSorted())
  })

  it.each(block('wrong-controls'))('is right that this is wrong: %s', (text) => {
    expect(parseControl(text)).toBeTypeOf('string')
  })
})
