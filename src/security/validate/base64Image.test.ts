// Images as base64: what the envelope shows, and what the header says.

import { describe, expect, it } from 'vitest'
import { checkBase64Image } from './base64Image.ts'
import { openImageEnvelope } from './imageEnvelope.ts'

/** An image as far as anybody looks at it: its header, and zeros behind it. */
function header(...parts: readonly (string | readonly number[])[]): Buffer {
  const bytes = parts.map((part) =>
    typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part),
  )
  return Buffer.concat([...bytes, Buffer.alloc(40)])
}

const side = 0x1234
const images = {
  png: header('\x89PNG\r\n\x1a\n', [0, 0, 0, 13], 'IHDR', [0, 0, 0x12, 0x34], [0, 0, 0, 9]),
  jpeg: header([0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0], [0xff, 0xc2, 0, 17, 8, 0, 9, 0x12, 0x34]),
  gif: header('GIF89a', [0x34, 0x12, 9, 0]),
  'gif of 1987': header('GIF87a', [0x34, 0x12, 9, 0]),
  'webp, extended': header(
    'RIFF\xff\xff\xff\xffWEBPVP8X',
    [10, 0, 0, 0, 0, 0, 0, 0],
    [0x33, 0x12, 0, 8, 0, 0],
  ),
  'webp, lossless': header('RIFF\0\0\0\0WEBPVP8L', [10, 0, 0, 0, 0x2f], [0x33, 0x12, 0, 0]),
  'webp, lossy': header('RIFF\0\0\0\0WEBPVP8 ', [10, 0, 0, 0, 0, 0, 0, 0x9d, 1, 0x2a], [0x34, 0x12, 9, 0]),
  bmp: header('BM', new Array(16).fill(7), [0x34, 0x12, 0, 0], [0xf7, 0xff, 0xff, 0xff]),
}

describe.each(Object.entries(images))('%s', (name, bytes) => {
  const type = name.split(/\W/)[0]
  const base64 = bytes.toString('base64')

  it('is known by its first bytes, whatever follows them', () => {
    expect(openImageEnvelope(base64)).toEqual({ type, base64 })
    expect(openImageEnvelope(`data:image/${type};base64,${base64}`)).toEqual({ type, base64 })
    expect(openImageEnvelope(base64, { types: [] })).toMatchObject({ rule: 'base64Image' })
  })

  it('tells how wide it is', () => {
    expect(checkBase64Image(base64, { maxSide: side })).toBeNull()
    expect(checkBase64Image(base64, { maxSide: side - 1 })).toMatchObject({ rule: 'maxSide' })
  })

  it('is refused under the name of another', () => {
    const other = type === 'png' ? 'gif' : 'png'
    expect(openImageEnvelope(`data:image/${other};base64,${base64}`)).toMatchObject({
      message: expect.stringContaining('not of the type'),
    })
  })
})

describe('the envelope', () => {
  it.each([
    ['avif', header([1, 2, 3, 4], 'ftypavif')],
    ['avif', header([0xff, 0xff, 0xff, 0xff], 'ftypavis')],
  ])('knows %s, whose size it does not read', (type, bytes) => {
    expect(openImageEnvelope(bytes.toString('base64'))).toMatchObject({ type })
    expect(checkBase64Image(bytes.toString('base64'), { maxSide: 1 })).toBeNull()
  })

  it.each([
    ['<svg onload=alert(1)>', /SVG is dangerous/],
    ['\ufeff  <?xml version="1.0"?><svg/>', /SVG is dangerous/],
    ['<!DOCTYPE svg>', /SVG is dangerous/],
    ['plain words, no image', /does not begin like/],
    ['RIFF____AVI LIST', /does not begin like/],
    ['\0\0\0\x20ftypmp42', /does not begin like/],
  ])('refuses %j', (text, message) => {
    expect(openImageEnvelope(Buffer.from(text).toString('base64'))).toMatchObject({
      message: expect.stringMatching(message),
    })
  })

  it.each([
    ['', /standard alphabet/],
    ['iVBORw0KGgo', /standard alphabet/],
    ['iVBORw0KGg_-', /standard alphabet/],
    ['data:image/svg+xml;base64,AAAA', /SVG is dangerous/],
    ['data:text/html;base64,AAAA', /data: URL of an image/],
    ['data:image/png,AAAA', /data: URL of an image/],
    ['data:image/png', /data: URL of an image/],
    [7, /must be a string/],
  ])('refuses %j', (value, message) => {
    expect(openImageEnvelope(value)).toMatchObject({ message: expect.stringMatching(message) })
  })

  it('knows the decoded size from the length alone', () => {
    const { png } = images
    expect(openImageEnvelope(png.toString('base64'), { maxBytes: png.length })).toMatchObject({ type: 'png' })
    expect(openImageEnvelope(png.toString('base64'), { maxBytes: png.length - 1 })).toMatchObject({
      rule: 'maxLength',
      message: `image larger than the maximum ${png.length - 1} bytes (decoded)`,
    })
  })
})
