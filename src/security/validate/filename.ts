// File names that mean the same file on every system, and only a file: one segment, no tricks.

import { detectInvisible } from '../detect/invisible.ts'
import type { Problem } from './problem.ts'

export interface FilenameOptions {
  /** Extensions allowed, with the dot, any case; all when left out. */
  readonly extensions?: readonly string[] | undefined
  /** Maximum length in UTF-8 bytes. @default 255 */
  readonly maxBytes?: number | undefined
}

/** Device names of Windows, with any extension behind them. */
const DEVICE = /^(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[\d¹²³])(?:\.|\s|$)/i

/** What shows nothing: zero-width blanks, joiners of words, soft hyphens, direction marks, fillers. */
const INVISIBLE =
  /\u034f|[\u17b4\u17b5]|[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2060-\u2064\u2800\u3164\ufeff\uffa0]/
/** Joiners make emoji of several, and shape letters of Indic, Persian and other scripts; between others they hide. */
const JOINED =
  /(?<=\p{Extended_Pictographic}|\p{Emoji_Modifier}|\ufe0f)\u200d(?=\p{Extended_Pictographic})|(?<=[\p{L}\p{M}])(?<!\p{Script=Latin})[\u200c\u200d](?=(?!\p{Script=Latin})[\p{L}\p{M}])/gu
/** Blanks that look like the common one and are another name; within a name macOS writes U+202F, Japanese U+3000. */
const ODD_BLANK = /[\u00a0\u1680\u2000-\u200a\u2028\u2029\u205f]|^[\u202f\u3000]|[\u202f\u3000](?=$|\.)/
/** So many blanks push the extension out of sight. */
const PUSHED = /\s{8}/

function dangerous(detail: string): Problem {
  return { rule: 'filename', message: `dangerous file name: ${detail}` }
}

/** The first thing wrong with a file name. */
export function checkFilename(value: unknown, options: FilenameOptions = {}): Problem | null {
  if (typeof value !== 'string') return { rule: 'type', message: 'must be a string (file name)' }
  const maxBytes = options.maxBytes ?? 255
  if (value.length > maxBytes || new TextEncoder().encode(value).length > maxBytes) {
    return { rule: 'maxLength', message: `file name longer than the maximum ${maxBytes} bytes` }
  }
  if (value.trim() === '') return dangerous('empty')
  // Separators of any system, in any width, and percent escapes of them.
  if (/[/\\\u2044\u2215\u2216\u29f5\u29f8\uff0f\uff3c]|%(?:25)*(?:2f|5c|00|2e|c0%a[ef]|c1%9c)/i.test(value))
    return dangerous('a path separator')
  // As it looks to those who fold compatibility characters: full width, leaders of dots, superscripts.
  const folded = value.normalize('NFKC')
  if (/^\.+$|^\.\./.test(folded) || /[\u2024\u2025\uff0e]/.test(value)) return dangerous('a path of dots')
  if (/[/\\]/.test(folded)) return dangerous('a path separator')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what Windows and POSIX forbid
  if (/[\0-\x1f\x7f<>:"|?*]/.test(value)) return dangerous('a character that some systems forbid')
  if (INVISIBLE.test(value) || /[\u200c\u200d]/.test(value.replace(JOINED, '')) || detectInvisible(value)) {
    return dangerous('an invisible character')
  }
  if (ODD_BLANK.test(value) || PUSHED.test(value)) return dangerous('blanks that mislead')
  if (/^\s|[.\s]$/.test(folded)) return dangerous('it begins with a blank, or ends in a dot or a blank')
  if (DEVICE.test(folded) || DEVICE.test(value)) return dangerous('a device name')
  if (options.extensions) {
    const dot = value.lastIndexOf('.')
    const extension = dot > 0 ? value.slice(dot).toLowerCase() : ''
    if (!options.extensions.some((allowed) => allowed.toLowerCase() === extension)) {
      return {
        rule: 'extension',
        message: `file name needs one of the extensions ${options.extensions.join(' ')}`,
      }
    }
  }
  return null
}
