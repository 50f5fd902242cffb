// What is wrong with a base64 image as far as its envelope shows. SVG is refused: it is a document that runs script.

import { IMAGE_TYPES, type ImageType, readImage } from './imageReading.ts'
import type { Problem } from './problem.ts'

export type { ImageType }

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

const SVG = 'of type SVG is dangerous: it can run script'

function problem(message: string, rule = 'base64Image'): Problem {
  return { rule, message: `image ${message}` }
}

/** The first thing wrong with an image given as base64, raw or as a `data:` URL; else what it is. */
export function openImageEnvelope(value: unknown, limits: EnvelopeLimits = {}): Problem | Envelope {
  if (typeof value !== 'string') return { rule: 'type', message: 'must be a string of base64 (image)' }
  const { maxBytes = 10_485_760, types = IMAGE_TYPES } = limits
  const { claimed, base64, bytes, wellFormed, type } = readImage(value)
  if (/^data:/i.test(base64)) return problem('must be base64 or a data: URL of an image in base64')
  if (claimed?.startsWith('svg')) return problem(SVG)
  if (bytes > maxBytes) return problem(`larger than the maximum ${maxBytes} bytes (decoded)`, 'maxLength')
  if (!wellFormed) return problem('must be base64 in the standard alphabet, with padding')
  if (!type) {
    const svg = /^[\s\xef\xbb\xbf]*<(?:\?xml|!doctype|svg|!--)/i.test(atob(base64.slice(0, 88)))
    return problem(svg ? SVG : 'does not begin like any image we know')
  }
  if (claimed && claimed !== type) return problem('is not of the type that its data: URL claims')
  return types.includes(type) ? { type, base64 } : problem(`must be one of ${types.join(', ')}`)
}
