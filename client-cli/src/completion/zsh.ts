import { everyNode, everyOption, quoted, takes, type CommandNode } from './tree.js';

/** For `source` after compinit, or as a file `_postern` in `$fpath`. */
export function zshCompletion(tree: CommandNode): string {
  const nodes = [...everyNode(tree)];
  const described = (items: readonly { name: string; description: string }[]): string =>
    items.map(({ name, description }) => quoted(`${name}:${description.replaceAll(':', '\\:')}`)).join(' ');
  return `#compdef postern
# zsh completion of postern. In ~/.zshrc, after compinit: source <(postern completion zsh)

_postern() {
  local -A children value argument
  local -a options items
  children=(
${nodes
  .filter((node) => node.children.length > 0)
  .map((node) => `    ${quoted(`@${node.path}`)} ${quoted(node.children.map(({ name }) => name).join(' '))}`)
  .join('\n')}
  )
  value=(
${everyOption(tree)
  .flatMap(({ flag, value }) => (value === null ? [] : [`    ${quoted(flag)} ${takes(value)}`]))
  .join('\n')}
  )
  argument=(
${nodes.flatMap((node) => node.args.map((arg, index) => `    ${quoted(`${node.path}:${index}`)} ${takes(arg)}`)).join('\n')}
  )
  local path_='' pending='' word kind
  integer i count=0
  for ((i = 2; i < CURRENT; i++)); do
    word=\${(Q)words[i]}
    if [[ -n $pending ]]; then pending=''; continue; fi
    case $word in
      --*=*) ;;
      -*) [[ -n \${value[$word]} ]] && pending=$word ;;
      *)
        if (( \${\${=children[@$path_]}[(Ie)$word]} )); then path_=\${path_:+$path_ }$word; else (( count += 1 )); fi
        ;;
    esac
  done
  if [[ -n $pending ]]; then
    kind=\${value[$pending]}
  elif [[ \${words[CURRENT]} == -* ]]; then
    case $path_ in
${nodes.map((node) => `      ${quoted(node.path)}) items=(${described(node.options.map(({ flag, description }) => ({ name: flag, description })))}) ;;`).join('\n')}
    esac
    _describe -o option items
    return
  elif [[ -n \${children[@$path_]} ]]; then
    case $path_ in
${nodes
  .filter((node) => node.children.length > 0)
  .map((node) => `      ${quoted(node.path)}) items=(${described(node.children)}) ;;`)
  .join('\n')}
    esac
    _describe command items
    return
  else
    kind=\${argument[$path_:$count]}
  fi
  case $kind in
    '='*) compadd -- \${=kind#=} ;;
    device | profile) compadd -- \${(f)"$(\${(Q)words[1]} complete-words $kind 2>/dev/null)"} ;;
    file) _files ;;
    folder) _files -/ ;;
  esac
}

if [[ \${funcstack[1]} == _postern ]]; then _postern "$@"; else compdef _postern postern; fi
`;
}
