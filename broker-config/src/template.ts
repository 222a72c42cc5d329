import { BrokerConfigError } from './errors.js';
import { isAtLeast, type BrokerVersion } from './version.js';

/**
 * The templates' language, kept small on purpose. On a line of its own, with the comment sign of the file
 * (`#` or `%%`) before it:
 *
 *     #if >= 3.13      lines up to #end stand for that release and newer ones
 *     #if < 3.13       ... for older ones
 *     #if name         ... where the flag `name` is true
 *     #end
 *
 * and `{{name}}` anywhere. Blocks may be nested. A name that is not given is an error, never an empty text.
 */
export interface TemplateInput {
  version: BrokerVersion;
  values: Readonly<Record<string, string | number>>;
  flags: Readonly<Record<string, boolean>>;
}

const DIRECTIVE = /^\s*(?:#|%%)(if|end)\b\s*(.*?)\s*$/;

function holds(condition: string, input: TemplateInput): boolean {
  const release = /^(>=|<)\s*([\d.]+)$/.exec(condition);
  if (release) {
    const atLeast = isAtLeast(input.version, release[2] ?? '');
    return release[1] === '>=' ? atLeast : !atLeast;
  }
  const flag = input.flags[condition];
  if (flag === undefined) throw new BrokerConfigError(`The template asks for an unknown flag "${condition}"`);
  return flag;
}

export function renderTemplate(template: string, input: TemplateInput): string {
  const out: string[] = [];
  const open: boolean[] = [];
  for (const line of template.split('\n')) {
    const directive = DIRECTIVE.exec(line);
    if (directive?.[1] === 'if') {
      open.push(holds(directive[2] ?? '', input));
    } else if (directive) {
      if (open.pop() === undefined) throw new BrokerConfigError('The template has an #end without an #if');
    } else if (open.every(Boolean)) {
      out.push(
        line.replace(/\{\{(\w+)\}\}/g, (_match, name: string) => {
          const value = input.values[name];
          if (value === undefined)
            throw new BrokerConfigError(`The template asks for an unknown value "${name}"`);
          return String(value);
        }),
      );
    }
  }
  if (open.length > 0) throw new BrokerConfigError('The template has an #if without an #end');
  return out.join('\n');
}

/** An Erlang string literal: quotes and backslashes escaped, all that is not ASCII as `\x{...}`. */
export function erlangString(value: string): string {
  let out = '"';
  for (const character of value) {
    const codePoint = character.codePointAt(0) ?? 0;
    if (character === '"' || character === '\\') out += `\\${character}`;
    else if (codePoint < 0x20 || codePoint > 0x7e) out += `\\x{${codePoint.toString(16)}}`;
    else out += character;
  }
  return `${out}"`;
}
