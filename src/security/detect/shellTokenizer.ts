// Where a shell would start a command within a text: POSIX shells, cmd.exe and PowerShell taken together.
// Undoes what shells undo in a command's name (quotes, backslashes, carets, empty expansions); judges nothing.

/** A command that a shell would run. */
export interface Command {
  /** Index of what introduces it: the separator, `$(`, a backtick. */
  readonly start: number
  /** What introduces it. */
  readonly by: ';' | '|' | '&' | '\n' | '$(' | '`' | '<('
  /** Its name: quoting removed, path and `.exe` removed, lower case. */
  readonly name: string
  /** What follows the name up to the next separator, at most 120 characters, `$IFS` as a blank. */
  readonly args: string
  /** Whether a blank stands between introduction and name. */
  readonly spaced: boolean
  /** Whether it is named as the file it is: `/usr/bin/id`, `calc.exe`. */
  readonly explicit: boolean
}

/** What a command's introduction may be. Single `&` too: it runs the left side in the background, or both in cmd. */
const START = /\$\(|[<>]\(|[;|&\n\r`]+/g
/** Something that could be a command's name, as opposed to the next introduction. */
const NAME = /[^\S\n\r]*(?![;|&)`\n\r]|\$\(|[<>]\()\S/y
const LIMIT = 160
const SPACES = /\$(?:\{IFS[^}]{0,12}\}|IFS(?:\$\d)?)/g
/** What expands to nothing, and quoting, within a word. */
const NOTHING =
  /\$(?:[@*]|[1-9](?!\d)|\{[\w@*]{1,8}\})|\\(?=[\w/.-])|\^|["'](?=\S)|["']$|(?<=\S)["']|`(?=\w)/g
/** Expansions that are empty between the letters of a name: `who$()ami`, cmd's `who%x%ami`. */
const EMPTY = /\$\(\s*\)|``|(?<=\w)%\w+(?::~[\d,-]+)?%(?=\w)/g
/** Variables that hold the shell itself. */
const SHELL = /^(?:\$\{?(?:0|SHELL|BASH)\b\}?|"\$(?:0|SHELL|BASH)")(?=[\s<'"]|$)/
const CMD = /^"?%comspec%"?(?=[\s/]|$)/i
/** Commands that run the command behind them. */
const WRAPPER =
  /^(?:(?:sudo|nohup|time|exec|command|env|xargs|setsid|stdbuf|nice|doas)(?:\s+-\S+)*|timeout\s+[\d.]+\w?)\s+(?=[a-z/])/
/** A path of Windows: its backslashes quote nothing. */
const WINDOWS_PATH = /^(?:%\w+%|[a-z]:)?(?:\\[\w .$()-]+)+/i
const OTHER_SEPARATOR = /[;|&\n\r)`]/

/** Every place where a command would start, in order. Reads at most `LIMIT` characters after each. */
export function* commandsIn(text: string): Generator<Command> {
  let inTicks = false
  for (const match of text.matchAll(START)) {
    const sign = match[0]
    if (sign.split('`').length % 2 === 0) inTicks = !inTicks
    const last = sign.at(-1) as string
    if (last === '`' && !inTicks) continue // this one closes
    // Backticks right behind a separator are no quotation of code: what they put out is run.
    const runs = last === '`' && /[;|&]`$/.test(sign)
    const by = sign === '$(' || runs ? '$(' : last === '(' ? '<(' : last === '\r' ? '\n' : last
    const from = match.index + sign.length
    NAME.lastIndex = from
    if (!NAME.test(text)) continue
    const piece = text
      .slice(from, from + LIMIT)
      .replace(SPACES, ' ')
      .replace(EMPTY, '')
      .trimStart()
      .replace(SHELL, 'sh')
      .replace(CMD, 'cmd')
    const body = piece.replace(/^[({!@]\s*|^\w+=\S*\s+/, '').replace(WRAPPER, '')
    const stop = body.search(OTHER_SEPARATOR)
    const run = stop < 0 ? body : body.slice(0, stop)
    // `{cat,/etc/passwd}` is a command line without a blank.
    const line = piece[0] !== '{' ? run : run.replace(/^([\w/]+),/, '$1 ')
    const word = /^\S*/.exec(line)?.[0] as string
    const name = word
      .replace(WINDOWS_PATH, (path) => path.slice(path.lastIndexOf('\\') + 1))
      .replace(NOTHING, '')
      .replace(/[<>].*$/, '')
      .replace(/^.*[/\\]/, '')
      .replace(/\.exe$/i, '')
      .toLowerCase()
    yield {
      start: match.index,
      by: by as Command['by'],
      name,
      args: line.slice(word.length, word.length + 120).trim() || word.replace(/^[^<>]*/, ''),
      spaced: /\s/.test(text[from] ?? ''),
      explicit: /\w\.exe$/i.test(word) || /^\/(?:usr\/(?:local\/)?)?s?bin\/\w/.test(word),
    }
  }
}
