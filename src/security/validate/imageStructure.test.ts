// Whole images, built block by block; then cut, lengthened and bent.

import { describe, expect, it } from 'vitest'
import { checkBase64Image } from './base64Image.ts'

type Part = string | readonly number[] | Buffer

function bytes(...parts: readonly Part[]): Buffer {
  return Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))),
  )
}

const u16 = (value: number): number[] => [value & 0xff, value >> 8]
const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)]
const big16 = (value: number): number[] => u16(value).reverse()
const big32 = (value: number): number[] => u32(value).reverse()

const chunk = (type: string, data: Part): Buffer => {
  const body = bytes(data)
  return bytes(big32(body.length), type, body, [1, 2, 3, 4])
}
const png = (width: number, height: number, ...more: readonly Buffer[]): Buffer =>
  bytes(
    '\x89PNG\r\n\x1a\n',
    chunk('IHDR', [...big32(width), ...big32(height), 8, 2, 0, 0, 0]),
    ...more,
    chunk('IDAT', 'pixels'),
    chunk('IEND', ''),
  )

const segment = (marker: number, data: Part): Buffer => {
  const body = bytes(data)
  return bytes([0xff, marker], big16(body.length + 2), body)
}
const jpeg = (width: number, height: number, ...more: readonly Buffer[]): Buffer =>
  bytes(
    [0xff, 0xd8],
    ...more,
    segment(0xc0, [8, ...big16(height), ...big16(width), 1, 1, 0x11, 0]),
    segment(0xda, [1, 1, 0, 0, 63, 0]),
    [7, 0xff, 0, 7, 0xff, 0xd0, 9], // a stuffed byte, a restart
    [0xff, 0xd9],
  )

const frame = (left: number, width: number): Buffer =>
  bytes([0x2c], u16(left), u16(0), u16(width), u16(2), [0], [2, 3, 1, 2, 3, 0])
const gif = (width: number, height: number, ...blocks: readonly Buffer[]): Buffer =>
  bytes('GIF89a', u16(width), u16(height), [0x80, 0, 0], [0, 0, 0, 9, 9, 9], ...blocks, [0x3b])

const webp = (size: number, ...more: readonly Part[]): Buffer => {
  const body = bytes('WEBPVP8L', u32(10), [0x2f], u32(size - 1), [0, 0, 0, 0, 0], ...more)
  return bytes('RIFF', u32(body.length), body)
}

const bmp = (width: number, height: number): Buffer =>
  bytes('BM', u32(60), u32(0), u32(54), u32(40), u32(width), u32(height), new Array(34).fill(0))

const box = (type: string, ...parts: readonly Part[]): Buffer => {
  const body = bytes(...parts)
  return bytes(big32(body.length + 8), type, body)
}
const avif = (width: number, height: number, ...more: readonly Buffer[]): Buffer =>
  bytes(
    box('ftyp', 'avif', [0, 0, 0, 0]),
    box(
      'meta',
      [0, 0, 0, 0],
      box('iprp', box('ipco', box('ispe', [0, 0, 0, 0], big32(width), big32(height)))),
    ),
    ...more,
    box('mdat', 'pixels and pixels'),
  )

const whole: readonly (readonly [string, Buffer])[] = [
  ['png', png(4, 2)],
  ['jpeg', jpeg(4, 2)],
  ['gif', gif(4, 2, bytes([0x21, 0xf9, 4, 0, 0, 0, 0, 0]), frame(0, 4))],
  ['webp', webp(4)],
  ['bmp', bmp(4, 2)],
  ['avif', avif(4, 2)],
]

const strictly = (image: Buffer, options = {}): string =>
  checkBase64Image(image.toString('base64'), { strict: true, ...options })?.message ?? ''

describe.each(whole)('a whole %s', (type, image) => {
  it('passes', () => {
    expect(strictly(image)).toBe('')
    expect(strictly(image, { types: [type] })).toBe('')
  })

  it('is refused when it is cut anywhere', () => {
    for (let length = 30; length < image.length; length++) {
      expect(strictly(image.subarray(0, length)), `${length} of ${image.length}`).not.toBe('')
    }
  })

  it.each(['\n', '<script>alert(1)</script>', 'PK\x03\x04 and a zip', '\0\0\0\0\0\0\0\0', '<?php x();'])(
    'is refused with something behind its end: %j',
    (more) => {
      expect(strictly(bytes(image, more))).toMatch(/behind its end|broken/)
      expect(checkBase64Image(bytes(image, more).toString('base64'))).toBeNull()
    },
  )
})

describe('what a decoder would make of it', () => {
  it.each([
    ['png', png(0, 2)],
    ['png', png(2, 0)],
    ['jpeg', jpeg(4, 0)],
    ['gif', gif(0, 0, frame(0, 0))],
    ['gif', gif(4, 0, bytes([0x21, 0xfe, 9], '123456789', [0]))],
    ['bmp', bmp(0, 2)],
    ['avif', avif(0, 0)],
  ])('a %s without width or height is none, strictly or not', (_, image) => {
    expect(strictly(image)).toMatch(/no width or no height/)
    expect(checkBase64Image(image.toString('base64'))?.message).toMatch(/no width or no height/)
  })

  it.each([
    ['a frame larger than its screen', gif(1, 1, frame(0, 60_000))],
    ['a frame that begins far out', gif(1, 1, frame(60_000, 1))],
    ['a screen of 0 x 0 with a large frame', gif(0, 0, frame(0, 60_000))],
    ['a large screen with a small frame', gif(65_535, 65_535, frame(0, 1))],
  ])('the largest of its sizes counts: %s', (_, image) => {
    expect(checkBase64Image(image.toString('base64'))).toMatchObject({ rule: 'maxSide' })
  })

  it('counts the largest picture of an AVIF', () => {
    const image = avif(4, 2, box('free', box('ispe', [0, 0, 0, 0], big32(40_000), big32(1))))
    expect(checkBase64Image(image.toString('base64'))).toMatchObject({ rule: 'maxSide' })
  })

  it('strictly, no frame is outside of its screen', () => {
    expect(strictly(gif(4, 2, frame(0, 4), frame(2, 4)))).toMatch(/outside of its screen/)
    expect(strictly(gif(4, 2, frame(0, 4), frame(0, 4)))).toBe('')
  })
})

describe('strictly', () => {
  it.each([
    ['a text chunk of PNG', png(4, 2, chunk('tEXt', 'Comment\0<script src=//x.example>'))],
    ['a chunk of PNG that nobody knows', png(4, 2, chunk('prIV', '<?php system($_GET[0]);'))],
    ['a comment of JPEG', jpeg(4, 2, segment(0xfe, '<html><body>'))],
    ['a comment of GIF', gif(4, 2, bytes([0x21, 0xfe, 12], '<iframe src=', [0]), frame(0, 4))],
    ['a box of AVIF', avif(4, 2, box('free', '<svg onload=x>'))],
  ])('markup in %s is refused', (_, image) => {
    expect(strictly(image)).toMatch(/markup/)
  })

  it('markup is found at any place, and metadata in XML is none', () => {
    for (const at of [0, 65_500, 65_520, 65_536, 131_000]) {
      const text = `${'x'.repeat(at)}<script>${'x'.repeat(200_000 - at)}`
      expect(strictly(png(4, 2, chunk('zTXt', text)))).toMatch(/markup/)
    }
    expect(
      strictly(png(4, 2, chunk('iTXt', '<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/">'))),
    ).toBe('')
  })

  it.each([
    [
      'PNG with its header in the middle',
      bytes(png(4, 2).subarray(0, 8), chunk('tEXt', 'x'.repeat(30)), png(4, 2).subarray(8)),
    ],
    ['PNG with a chunk that is no name', png(4, 2, chunk('a\0bc', ''))],
    ['PNG with two headers', png(4, 2, chunk('IHDR', new Array(13).fill(1)))],
    [
      'JPEG without a scan',
      bytes(
        [0xff, 0xd8],
        segment(0xc0, [8, 0, 2, 0, 4, 1, 1, 0x11, 0]),
        segment(0xfe, 'x'.repeat(20)),
        [0xff, 0xd9],
      ),
    ],
    ['JPEG with bytes between its segments', jpeg(4, 2, bytes('between'))],
    ['GIF with an unknown block', gif(4, 2, frame(0, 4), bytes([0x77, 0]))],
    ['WebP with a chunk longer than itself', webp(4, 'EXIF', u32(9999), 'xx')],
    [
      'AVIF without a description',
      bytes(box('ftyp', 'avif', [0, 0, 0, 0]), box('mdat', box('ispe', [0, 0, 0, 0], big32(4), big32(2)))),
    ],
    ['BMP whose pixels begin in its header', bytes('BM', u32(60), u32(0), u32(9), bmp(4, 2).subarray(14))],
  ])('%s is broken', (_, image) => {
    expect(strictly(image)).not.toBe('')
  })

  it('an image that does not tell its size is refused', () => {
    expect(strictly(bytes([0xff, 0xd8], segment(0xda, 'x'.repeat(40)), [0xff, 0xd9]))).toMatch(/how large/)
  })
})
