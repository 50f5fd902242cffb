// JSON text that is safe to parse: its size, depth, number of keys and names of keys are known before `JSON.parse` runs,
// found by one pass that holds a counter instead of a stack.

import { isDangerousKey } from './object.ts'
import type { Problem } from './problem.ts'

export interface JsonOptions {
  /** Maximum size in UTF-8 bytes. @default 1048576 */
  readonly maxBytes?: number | undefined
  /** Maximum nesting. @default 32 */
  readonly maxDepth?: number | undefined
  /** Maximum number of keys in all objects together. @default 10000 */
  readonly maxKeys?: number | undefined
}

const COLON = /\s*:/y

/** The first thing wrong with a JSON text. */
export function checkJson(value: unknown, options: JsonOptions = {}): Problem | null {
  if (typeof value !== 'string') return { rule: 'type', message: 'must be a string of JSON' }
  const { maxBytes = 1_048_576, maxDepth = 32, maxKeys = 10_000 } = options
  // Every UTF-16 unit is at least one byte: most oversize texts are refused without being encoded.
  if (
    value.length > maxBytes ||
    (value.length * 3 > maxBytes && new TextEncoder().encode(value).length > maxBytes)
  ) {
    return { rule: 'maxLength', message: `JSON larger than the maximum ${maxBytes} bytes` }
  }
  let depth = 0
  let keys = 0
  for (let at = 0; at < value.length; at++) {
    const char = value[at]
    if (char === '{' || char === '[') {
      if (++depth > maxDepth)
        return { rule: 'depth', message: `JSON too deep: maximum ${maxDepth} levels`, offset: at }
    } else if (char === '}' || char === ']') depth--
    else if (char === '"') {
      const end = stringEnd(value, at)
      if (end < 0) break // JSON.parse says it below
      COLON.lastIndex = end
      if (COLON.test(value)) {
        if (++keys > maxKeys)
          return { rule: 'keys', message: `JSON with more than the maximum ${maxKeys} keys`, offset: at }
        if (end - at < 80 && isDangerousKey(keyText(value.slice(at, end)))) {
          return {
            rule: 'dangerousKeys',
            message: 'JSON with dangerous keys',
            offset: at,
            length: end - at,
          }
        }
      }
      at = end - 1
    }
  }
  try {
    JSON.parse(value)
  } catch {
    return { rule: 'json', message: 'must be a string of valid JSON' }
  }
  return null
}

/** Behind the string that begins at `start`; -1 when it never ends. */
function stringEnd(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0
    while (text[at - 1 - slashes] === '\\') slashes++
    if (slashes % 2 === 0) return at + 1
  }
  return -1
}

function keyText(quoted: string): string {
  return quoted
    .slice(1, -1)
    .replace(/\\u([\da-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
