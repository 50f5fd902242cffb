// JSON content: a body is one message, or an array of them, one level deep (Durable Streams 1.0,
// section 9.1). Texts are kept as they came, so that numbers keep all their digits.

const decoder = new TextDecoder('utf-8', { fatal: true })
const encoder = new TextEncoder()

/** Messages as they are kept: JSON texts with a line break between them. */
export interface JsonMessages {
  readonly count: number
  readonly data: Uint8Array
}

/**
 * Takes a body apart into messages.
 * @returns `undefined` when it is no JSON
 */
export function splitMessages(body: Uint8Array): JsonMessages | undefined {
  let text: string
  let isArray: boolean
  try {
    text = decoder.decode(body)
    isArray = Array.isArray(JSON.parse(text))
  } catch {
    return undefined
  }
  // Outside of strings a line break is white space, and inside there can be none.
  const flat = text.replace(/[\r\n]/g, ' ').trim()
  const messages = isArray ? elementsOf(flat) : [flat]
  return { count: messages.length, data: encoder.encode(messages.join('\n')) }
}

/** One JSON array of what is kept. */
export function joinMessages(parts: readonly Uint8Array[]): Uint8Array {
  const texts = parts.map((part) => decoder.decode(part).replaceAll('\n', ','))
  return encoder.encode(`[${texts.join(',')}]`)
}

/** The texts of an array's elements. `array` is valid JSON without a line break. */
function elementsOf(array: string): string[] {
  const elements: string[] = []
  let depth = 0
  let start = 1
  for (let at = 0; at < array.length; at += 1) {
    switch (array[at]) {
      case '"':
        at = endOfString(array, at)
        break
      case '[':
      case '{':
        depth += 1
        break
      case ']':
      case '}':
        depth -= 1
        break
      case ',':
        if (depth !== 1) break
        elements.push(array.slice(start, at).trim())
        start = at + 1
    }
  }
  const last = array.slice(start, -1).trim()
  if (last !== '') elements.push(last)
  return elements
}

/** The index of the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}
