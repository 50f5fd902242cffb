// Email addresses as people have them: the dot-atom form of RFC 5321/5322, internationalised ones (RFC 6531) included.
// No quoted local parts, no comments, no address literals: legal, and in a form field always a mistake or a trick.

import type { Problem } from './problem.ts'

const LOCAL = /^[\w!#$%&'*+/=?^`{|}~\u00a1-\uffff-]+$/
/** Blanks, controls, format characters, lone surrogates, private use: nothing that one sees. */
const UNSEEN = /[\p{C}\p{Z}]/u
const LABEL = /^[a-z\d\u00a1-\uffff](?:[a-z\d\u00a1-\uffff-]*[a-z\d\u00a1-\uffff])?$/i

function invalid(detail: string): Problem {
  return { rule: 'email', message: `invalid email: ${detail}` }
}

/** Length in UTF-8; what is too long anyway is not encoded. */
function octets(text: string): number {
  return text.length > 254 ? text.length : new TextEncoder().encode(text).length
}

/** Lengths by RFC 5321, 4.5.3.1: 64 octets before the `@`, 255 behind it, 254 in all; a label has at most 63. */
export function checkEmail(value: unknown): Problem | null {
  if (typeof value !== 'string') return { rule: 'type', message: 'must be a string (invalid email)' }
  if (octets(value) > 254) return invalid('longer than the maximum 254 octets')
  const at = value.lastIndexOf('@')
  if (at < 1 || at === value.length - 1) return invalid('it needs something on both sides of an @')
  if (octets(value.slice(0, at)) > 64) return invalid('more than the maximum 64 octets before the @')
  if (UNSEEN.test(value)) return invalid('blanks or invisible characters')
  if (
    !value
      .slice(0, at)
      .split('.')
      .every((atom) => LOCAL.test(atom))
  ) {
    return invalid('dots or characters before the @ that need quoting')
  }
  const labels = value.slice(at + 1).split('.')
  if (labels.length < 2) return invalid('the domain has no dot')
  if (!labels.every((label) => label.length <= 63 && LABEL.test(label)))
    return invalid('the domain is malformed')
  if (/^\d+$/.test(labels.at(-1) as string)) return invalid('the domain is a number')
  return null
}
