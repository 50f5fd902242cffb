// Command injection: would this text, put into a shell's command line, start a command of its own?
// A command's name alone proves nothing, English is full of them: what counts is a name with the arguments of a shell.

import { findInForms } from './decode.ts'
import type { Finding, Hit } from './finding.ts'
import { type Command, commandsIn } from './shellTokenizer.ts'

const words = (list: string): ReadonlySet<string> => new Set(list.split(' '))

/** Names that are no words of any language, so that nothing more is asked. */
const NAMES = words(
  'whoami uname ifconfig ipconfig netstat wget curl nslookup chmod chown passwd printenv nc ncat netcat telnet ssh scp ' +
    'bash zsh ksh csh dash python python2 python3 perl ruby php node lua tclsh awk gawk sed grep egrep xargs tee nohup ' +
    'crontab systemctl useradd usermod adduser mkfifo mknod base64 xxd openssl gcc tftp ftpget busybox ' +
    'powershell pwsh cmd certutil bitsadmin mshta rundll32 regsvr32 wmic tasklist systeminfo schtasks cscript wscript ' +
    'iex iwr irm invoke-expression invoke-webrequest invoke-restmethod invoke-command start-process new-object ' +
    'get-content get-childitem get-process set-executionpolicy add-type hostname lsof dmesg mkfs dd iptables tcpdump ' +
    'nmap socat strace gdb docker kubectl printf ping ping6 traceroute tracert arp lynx aria2c w3m rsync nltest gci whois ' +
    'dsquery vssadmin msiexec installutil',
)
/** Names that are words, or short enough to be anything: a shell's arguments must follow. */
const ORDINARY = words(
  'cat ls id pwd ps env dir echo rm cp mv touch find sort more less head tail type copy move del erase rd md mkdir rmdir ' +
    'sleep timeout kill killall pkill shutdown reboot halt date who w last host dig net reg sc set export source eval ' +
    'exec sh su sudo man vi vim nano ed ex tar zip unzip gzip mail sendmail at time test read cut tr rev od nl tac strings ' +
    'ftp sftp start call wait exit history alias which whereis locate mount umount git npm make go java cd pip apt yum fg bg true',
)
/** What makes a command of an ordinary name: its first argument. */
const SUBCOMMANDS: ReadonlyMap<string, RegExp> = new Map([
  [
    'net',
    /^(?:user|users|localgroup|group|use|view|share|start|stop|accounts|session|config|time)\b(?!\s+(?:of|for|is|was))/,
  ],
  ['reg', /^(?:query|add|delete|save|export)\s+(?:hk|"hk)/i],
  ['sc', /^(?:query|config|create|start|stop|delete|qc)(?:\s+\w+)?\s*$/],
  ['ps', /^(?:aux\w*|ax|-\w)/],
  ['tar', /^-?[cxt]\w*f\s/],
  ['git', /^(?:clone|fetch|remote|submodule)\s+\S*(?::|@|add)/],
  ['start', /^(?:calc|cmd|notepad|powershell|mshta)\b/],
  ['apt', /^(?:-\w+\s+)*install\s+[\w.-]+\s*$/],
  ['pip', /^install\s+\S+\s*$/],
  ['.', /^[/~]/],
  ['kubectl', /^(?:get|exec|apply|delete|describe|run|cp|logs)\b/],
  ['docker', /^(?:ps|run|exec|images|rm|cp|logs|inspect|pull)\b/],
  ['wmic', /^(?:process|os|useraccount|service|product|logicaldisk|qfe|computersystem)\b/],
  ['set', /^\/[ap]\s/],
])
/** Commands that go to a host. */
const TO_HOST = /^(?:ftp|sftp|host|dig|ssh|curl|ping)$/
const HOST = /^(?:-\w+\s+)*[\w-]+(?:\.[\w-]+)*\.[a-z]{2,18}(?:[\s:/]|$)/i
/** Names without arguments behind a new line: of those that are words, too many begin a line of verse. */
const ALONE_IN_LINE = words('id pwd env ls ps')
/** What no text has by chance, wherever it stands. */
const SURE: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [
    /\$\(\s{0,9}<\s{0,9}[/~.\w]|`\s{0,9}<\s{0,9}(?:~|\/(?:etc|proc|var|home|root|tmp|dev|usr|opt))\//,
    'file in a substitution',
  ],
  [/%comspec%"?\s{1,9}\/[ck]\b/i, 'command interpreter'],
  [/\$(?:0|\{0\}|SHELL|\{SHELL\}|BASH)\s{0,9}<<</, 'shell fed with a string'],
  [/[;|&\n(`]\s{0,9}\$'\\(?:x[\da-f]{2}|u[\da-f]{4}|[0-7]{3})/i, 'escaped command name'],
  [
    /[\w'")]?[;&|\n]\s{0,9}[A-Za-z_]\w{0,30}=[^\s;$]{1,60};\s{0,9}(?:[A-Za-z_]\w{0,30}=[^\s;]{1,60};\s{0,9}){0,9}\$(?:\w|\{\w)/,
    'command from a variable',
  ],
  [/<!--\s{0,9}#\s{0,9}exec\s{1,9}(?:cmd|cgi)\s{0,9}=/i, 'server-side include'],
  [/(?:^|\s)-o\s?ProxyCommand\s{0,9}=/i, 'command in an option'],
  [
    /(?:^|[;|&\n$`('"=\s])\{(?:cat|ls|id|sh|bash|wget|curl|nc|ping|echo|head|tail|rm|cp|python3?|perl)(?:,[\w./~:$*?-]+){1,9}\}/,
    'command in braces',
  ],
]

/** Ordinary names that attackers run without arguments. */
const ALONE = words('id ls pwd ps env dir w who')
/** How a shell's argument begins and a sentence's next word does not. */
const ARGUMENT =
  /^(?:-{1,2}\w|\/|\.{1,2}\/|~|[$*<>"'\\]|\d+(?:\s*$|\s*[;|&#])|[a-z]:[\\/%]|%\w+%|\S+\.\w{1,4}(?:\s|$)|\{)/i
/** Targets that leave no doubt. */
const TARGET =
  /^(?:user|localgroup)\s+\w+.*\/\w|\/etc\/(?:passwd|shadow|hosts|group|sudoers)|\/dev\/(?:tcp|udp)\/|\/bin\/(?:ba|z|k|da|c)?sh\b|\.ssh\/|\/proc\/self|win\.ini|boot\.ini|cmd\.exe|-e(?:nc\w*)?\s+\S{8}|\brf?\s+\/|\|\s*(?:ba)?sh\b/i
/** Files that are named so for one purpose. */
const SENSITIVE =
  /^(?:-\S+\s+)*(?:\/etc\/(?:passwd|shadow|sudoers|hosts)\b|\S*(?:win|boot)\.ini\b|~?\/?\S*\.ssh\/)/i
/** Definition of a function in an environment variable (CVE-2014-6271). */
const SHELLSHOCK = /\(\)\s*\{[\s:;]{0,9}\}\s*;/
const REDIRECT = /(?:^|[\w\s'")])(?:\d?>>?|<)\s*(?:\/(?:etc|tmp|var|dev\/tcp|bin|usr|root|home)\/|~\/\.)\S/

/** Whether the text before could be a value, as opposed to a sentence or to a command line that someone shows. */
function isValue(before: string): boolean {
  const first = /^\s*(?:[$#>]\s+)?([\w./-]*)/.exec(before)?.[1]?.replace(/^.*\//, '').toLowerCase() ?? ''
  if (NAMES.has(first) || (ORDINARY.has(first) && /\s/.test(before.trim()))) return false
  return !/\S\s+\S+\s+\S+\s+\S/.test(before) && !before.includes('```')
}

function judge(command: Command, before: string, after: string): string {
  const { name, args, by } = command
  if (name === '') return ''
  const known = NAMES.has(name)
  const ordinary = ORDINARY.has(name)
  if (command.explicit && isValue(before) && by !== '`') return 'command by its file'
  if (SUBCOMMANDS.get(name)?.test(args) && isValue(before) && by !== '`') return 'chained command'
  if (!known && !ordinary) {
    if (by !== '`' && /^[a-z][\w.-]+$/.test(name) && SENSITIVE.test(args) && isValue(before)) {
      return 'command on a sensitive target'
    }
    // `/???/c?t`: a path of wildcards instead of a name.
    return by !== '`' && /[?*]/.test(name) && /\w/.test(name) && /^\//.test(args) ? 'command by wildcard' : ''
  }
  if (TARGET.test(args)) return 'command on a sensitive target'
  if (!isValue(before)) return ''
  const shellArgs = ARGUMENT.test(args) || (TO_HOST.test(name) && HOST.test(args))
  if (by === '`') {
    // Inline code of a chat has blanks around it; a substitution stands within a word or alone.
    const alone = before.trim() === '' && after.trim() === '' && (shellArgs || known || ALONE.has(name))
    return alone || /[\w=/'"]$/.test(before) ? 'command substitution' : ''
  }
  if (by === '$(' || by === '<(') return 'command substitution'
  if (by === '\n' && args === '' && ALONE_IN_LINE.has(name) && after === '') {
    return /\s\S/.test(before.trim()) ? '' : 'command on a new line'
  }
  if (by === '\n') return (known || shellArgs) && !/\s\S/.test(before.trim()) ? 'command on a new line' : ''
  // Cells of a table.
  if (by === '|' && /(?:^|\n)\s*\|[^\n]*$/.test(before)) return ''
  if (known) return shellArgs || args === '' || !/^[a-z]+\s+[a-z]+/i.test(args) ? 'chained command' : ''
  if (args === '' || /^#/.test(args)) return ALONE.has(name) ? 'chained command' : ''
  return shellArgs ? 'chained command' : ''
}

/** Looks at one form of the text. */
export function findCommand(text: string): Hit | null {
  for (const command of commandsIn(text)) {
    const before = text.slice(Math.max(0, command.start - 80), command.start)
    const close = command.by === '`' ? text.indexOf('`', command.start + 1) : -1
    const reason = judge(command, before, close < 0 ? '' : text.slice(close + 1, close + 9))
    if (reason) return { start: command.start, end: command.start + 2 + command.name.length, reason }
  }
  for (const [pattern, reason] of SURE) {
    const at = text.search(pattern)
    if (at >= 0) return { start: at, end: at + 3, reason }
  }
  const shock = text.search(SHELLSHOCK)
  if (shock >= 0) return { start: shock, end: shock + 4, reason: 'function in a variable' }
  const redirect = text.search(REDIRECT)
  if (redirect >= 0 && isValue(text.slice(Math.max(0, redirect - 80), redirect))) {
    return { start: redirect, end: redirect + 3, reason: 'redirection' }
  }
  return null
}

/** Finds command injection in any form of the text. */
export function detectCommandInjection(text: string): Finding | null {
  return findInForms(text, findCommand)
}
