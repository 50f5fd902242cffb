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
  if (/^\.+$|^\.\.|[\uff0e\u2024]{2}/.test(value)) return dangerous('a path of dots')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what Windows and POSIX forbid
  if (/[\0-\x1f\x7f<>:"|?*]/.test(value)) return dangerous('a character that some systems forbid')
  if (detectInvisible(value)) return dangerous('an invisible character')
  if (/[. ]$/.test(value)) return dangerous('it ends in a dot or a blank')
  if (DEVICE.test(value)) return dangerous('a device name')
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
