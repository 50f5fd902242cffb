// What a base64 image shows without being decoded: size from the length alone, the alphabet, and by its first bytes
// the type. SVG is refused: it is a document that runs script. Small, so that a client can look before it sends.

import type { Problem } from './problem.ts'

export type ImageType = 'png' | 'jpeg' | 'gif' | 'webp' | 'avif' | 'bmp'

export interface EnvelopeLimits {
  /** Maximum size after decoding, in bytes. @default 10485760 */
  readonly maxBytes?: number | undefined
  /** Types allowed. @default png, jpeg, gif, webp, avif, bmp */
  readonly types?: readonly ImageType[] | undefined
}

/** An image that looks like one. */
export interface Envelope {
  readonly type: ImageType
  readonly base64: string
}

/** How the first bytes of each look in base64: signatures, and in WebP and AVIF what stands behind the first length. */
const BEGINNINGS: Readonly<Record<ImageType, RegExp>> = {
  png: /^iVBORw0KGgo/,
  jpeg: /^\/9j\//,
  gif: /^R0lGOD[dl]h/,
  webp: /^UklGR[g-v].{5}XRUJQ/,
  avif: /^.{6}Z0eXBhdml[mz]/,
  bmp: /^Qk[0-3]/,
}

const SVG = 'of type SVG is dangerous: it can run script'

function problem(message: string, rule = 'base64Image'): Problem {
  return { rule, message: `image ${message}` }
}

/** The first thing wrong with an image given as base64, raw or as a `data:` URL; else what it is. */
export function openImageEnvelope(value: unknown, limits: EnvelopeLimits = {}): Problem | Envelope {
  if (typeof value !== 'string') return { rule: 'type', message: 'must be a string of base64 (image)' }
  const known = Object.keys(BEGINNINGS) as ImageType[]
  const { maxBytes = 10_485_760, types = known } = limits
  let claimed = ''
  let base64 = value
  if (/^data:/i.test(value)) {
    const comma = value.slice(0, 200).indexOf(',')
    const head = /^data:image\/([\w.+-]+)(?:;[\w=-]+)*;base64$/i.exec(value.slice(0, Math.max(comma, 0)))
    if (!head) return problem('must be base64 or a data: URL of an image in base64')
    claimed = (head[1] as string)
      .toLowerCase()
      .replace(/^p?jpe?g$/, 'jpeg')
      .replace(/^x-/, '')
    base64 = value.slice(comma + 1)
    if (claimed.startsWith('svg')) return problem(SVG)
  }
  const { length } = base64
  const size = Math.floor((length * 3) / 4) - (base64.slice(-2).split('=').length - 1)
  if (size > maxBytes) return problem(`larger than the maximum ${maxBytes} bytes (decoded)`, 'maxLength')
  if (size < 1 || length % 4 || !/^[A-Za-z\d+/]+={0,2}$/.test(base64)) {
    return problem('must be base64 in the standard alphabet, with padding')
  }
  const type = known.find((name) => BEGINNINGS[name].test(base64))
  if (!type) {
    const svg = /^[\s\xef\xbb\xbf]*<(?:\?xml|!doctype|svg|!--)/i.test(atob(base64.slice(0, 88)))
    return problem(svg ? SVG : 'does not begin like any image we know')
  }
  if (claimed && claimed !== type) return problem('is not of the type that its data: URL claims')
  return types.includes(type) ? { type, base64 } : problem(`must be one of ${types.join(', ')}`)
}
