// SQL injection: would this text, put where a query expects one value, turn into more of the query than a value?
// Reads it as the continuation of a number, of '...' and of "...".

import { findInForms } from './decode.ts'
import type { Finding, Hit } from './finding.ts'
import { speaksOfSql } from './sql/evidence.ts'
import { readSql } from './sql/reading.ts'

/** What a quote stands behind when it opens a string of some program or a quotation instead of closing a value. */
const CODE_BEFORE = /[([{=,:+`\u201c\u201e]\s*$|\n/

const STATEMENT = /^[\s)]*;\s*[a-z]\w*\s[^'"]*(?:--[\s+-]*|#\s*|\/\*\s*)$/i
const UNION = /(?<!['"`\w])union\b/i
const KEYWORDS =
  /\b(?:and|or|xor|not|is|in|like|between|null|true|false|binary|case|when|then|else|end|for|update|order|group|by|having|limit|as|where|from|select|collate|div|mod)\b/gi
const WORDS = /[a-z]{2}\W+\w*[a-z]{2}/i

/** A word of the language in quotation marks, at the start or in brackets: somebody names it. */
const NAMED_WORD =
  /^(?:select|union|table|where|from|order|group|having|limit|drop|insert|update|delete|create|alter|exec|execute|declare|set|call|join|begin|end|if|case|into|values)(["'])(?:[\s.,?!:;)\]]|$)/i

/** Whether a quotation stands here: a quote after a blank, and its fellow before a blank, a mark or the end. */
function isQuotation(text: string, at: number): boolean {
  const named = NAMED_WORD.exec(text.slice(at + 1, at + 12))
  if (named && named[1] === text[at] && (at === 0 || /[\s([]/.test(text[at - 1] as string))) return true
  if (!/\s\S\S/.test(text.slice(at - 1, at + 2))) return false
  const close = text.indexOf(text[at] as string, at + 2)
  if (/^(?:x?or|and|\|\||&&)$/i.test(text.slice(at + 1, Math.min(close, at + 6)))) return false
  return close > 0 && /^\S.(?:[\s.,?!:)]|$)/.test(text.slice(close - 1, close + 2))
}

/** A whole text that is one question to the database, comparing literals: `IF(7=7,name,price)` where a column was due. */
const CONDITIONAL =
  /^\s{0,9}\(?\s{0,9}(?:if|iif|elt|make_set|nullif|decode)\s{0,9}\(\s{0,9}(?:\d{1,9}|'[^']{0,20}')\s{0,9}(?:[=<>]|like\b)\s{0,9}(?:\d{1,9}|'[^']{0,20}')\s{0,9},.{0,200}\)\s{0,9}$/i

/** Looks at one form of the text: by the grammar alone. */
export function findSqlByGrammar(text: string): Hit | null {
  const number = readSql(text, 0, 'number', true)
  if (number) return number
  for (const quote of ["'", '"']) {
    const at = text.indexOf(quote)
    if (at < 0 || isQuotation(text, at)) continue
    const valueBefore = !CODE_BEFORE.test(text.slice(Math.max(0, at - 60), at))
    const found = readSql(text, at + 1, 'quote', valueBefore)
    if (found) return found
    // A statement that we do not know, but the literal was closed before it and the rest is cut off behind it.
    if (valueBefore && text.length < at + 200 && STATEMENT.test(text.slice(at + 1))) {
      return { start: at, end: text.length, reason: 'stacked statement' }
    }
    if (text[at - 1] === '\\') {
      // Where the application escapes quotes, the one after it closes.
      const later = text.indexOf(quote, at + 1)
      if (later >= 0 && text[later - 1] !== '\\') {
        const second = readSql(text, later + 1, 'quote', true)
        if (second) return second
      }
    }
  }
  if (text.length < 300 && CONDITIONAL.test(text))
    return { start: 0, end: text.length, reason: 'conditional expression' }
  // What goes before a union may be cut to pieces by comments; a sentence would have words there.
  const union = text.search(UNION)
  if (union > 0 && union < 200 && !WORDS.test(text.slice(0, union).replace(KEYWORDS, ' 1 '))) {
    return readSql(text, union, 'number', true)
  }
  return null
}

/** Looks at one form of the text. */
function findSql(text: string): Hit | null {
  const hit = findSqlByGrammar(text)
  if (hit) return hit
  return speaksOfSql(text)
    ? { start: 0, end: text.length, reason: 'words and marks as in an injection' }
    : null
}

/** Finds SQL injection in any form of the text. */
export function detectSqlInjection(text: string): Finding | null {
  return findInForms(text, findSql)
}
