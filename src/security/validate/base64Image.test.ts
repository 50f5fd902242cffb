import { Buffer } from 'node:buffer'
import { describe, expect, it } from 'vitest'
import { checkBase64Image } from './base64Image.ts'

function bytes(...parts: (string | number[])[]): Buffer {
  return Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))),
  )
}
const u16 = (value: number): number[] => [value >> 8, value & 255]
const u16le = (value: number): number[] => [value & 255, value >> 8]
const png = (width = 2, height = 3): Buffer =>
  bytes(
    '\x89PNG\r\n\x1a\n',
    [0, 0, 0, 13],
    'IHDR',
    [0, 0, ...u16(width), 0, 0, ...u16(height)],
    [8, 6, 0, 0, 0, 0, 0, 0, 0],
  )
const jpeg = (width = 2, height = 3): Buffer =>
  bytes([
    0xff,
    0xd8,
    0xff,
    0xe0,
    0,
    4,
    1,
    1,
    0xff,
    0xc4,
    0,
    3,
    0,
    0xff,
    0xc0,
    0,
    11,
    8,
    ...u16(height),
    ...u16(width),
    3,
    0,
    0,
    0,
  ])
const gif = (width = 2, height = 3): Buffer => bytes('GIF89a', u16le(width), u16le(height), [0, 0, 0])
const webp = (kind: string, ...rest: number[]): Buffer =>
  bytes('RIFF', [30, 0, 0, 0], 'WEBP', kind, [10, 0, 0, 0], rest)
const bmp = (width = 2, height = 3): Buffer =>
  bytes('BM', new Array(16).fill(0), u16le(width), [0, 0], u16le(height), [0, 0], [1, 0])
const avif = bytes([0, 0, 0, 28], 'ftypavif', [0, 0, 0, 0])
const extended = webp('VP8X', 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0)
const lossless = webp('VP8L', 0x2f, 1, 0x80, 0, 0, 0, 0, 0, 0, 0)
const lossy = webp('VP8 ', 0, 0, 0, 0x9d, 1, 0x2a, 2, 0, 3, 0)

const raw = (image: Buffer): string => image.toString('base64')
const url = (type: string, image: Buffer): string => `data:image/${type};base64,${raw(image)}`

describe('an image', () => {
  it.each([
    ['png', png()],
    ['jpeg', jpeg()],
    ['jpg', jpeg()],
    ['gif', gif()],
    ['bmp', bmp()],
    ['avif', avif],
    ['webp', extended],
    ['webp', lossless],
    ['webp', lossy],
  ])('passes as %s, raw and as a data: URL', (type, image) => {
    expect(checkBase64Image(raw(image))).toBeNull()
    expect(checkBase64Image(url(type, image))).toBeNull()
  })

  it.each([
    ['nothing', ''],
    ['no base64', 'hello world!'],
    ['the alphabet of URLs', raw(png()).replace(/^iVBO/, 'iVB_')],
    ['a line end within', raw(png()).replace(/^(.{4})/, '$1\n')],
    ['no padding', raw(gif()).replace(/=+$/, '')],
    ['padding in the middle', `${raw(gif()).slice(0, 4)}====${raw(gif()).slice(4)}`],
    ['another type than it claims', url('png', jpeg())],
    ['a type in another alphabet', 'data:image/png;base64,@@@@'],
    ['no image at all', `data:text/html;base64,${raw(png())}`],
    ['a data: URL that is not base64', 'data:image/png,abc'],
    ['text that begins like nothing', Buffer.from('just some text, no picture').toString('base64')],
  ])('is refused: %s', (_, value) => {
    expect(checkBase64Image(value)?.rule).toBe('base64Image')
  })

  it.each([
    url('svg+xml', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')),
    Buffer.from('<svg onload=alert(1)>   ').toString('base64'),
    Buffer.from('\ufeff<?xml version="1.0"?><svg/>').toString('base64'),
  ])('is refused as dangerous when it is an SVG', (value) => {
    expect(checkBase64Image(value)?.message).toMatch(/SVG is dangerous/)
  })

  it('is weighed by its length, before it is decoded', () => {
    expect(checkBase64Image('!'.repeat(14_000_000))?.message).toMatch(/maximum 10485760 bytes/)
    expect(checkBase64Image(raw(gif()), { maxBytes: 13 })).toBeNull()
    expect(checkBase64Image(raw(gif()), { maxBytes: 12 })?.rule).toBe('maxLength')
  })

  it.each([
    ['png', png(5000, 10)],
    ['jpeg', jpeg(10, 5000)],
    ['gif', gif(5000, 10)],
    ['bmp', bmp(10, 5000)],
    ['webp', webp('VP8X', 0, 0, 0, 0, 0x88, 0x13, 0, 2, 0, 0, 0, 0)],
  ])('too wide or too high for its header is refused: %s', (_, image) => {
    expect(checkBase64Image(raw(image))).toBeNull()
    expect(checkBase64Image(raw(image), { maxSide: 4000 })?.rule).toBe('maxSide')
  })

  it('must be of a type that is allowed', () => {
    expect(checkBase64Image(raw(gif()), { types: ['png', 'jpeg'] })?.message).toMatch(/png, jpeg/)
  })
})
