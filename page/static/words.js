// The interface in the browser's language: English as written, French from this table. Documents, questions and answers are never touched.
"use strict";
(() => {
  if (!navigator.language.toLowerCase().startsWith("fr")) return;
  const WORDS = {
    "Ask your documents in any language. Every answer quotes its source.": "Interrogez vos documents dans toute langue. Chaque réponse cite sa source.",
    "Your question": "Votre question", "Ask": "Demander", "Ask a question about the documents, in any language": "Posez une question sur les documents, dans toute langue",
    "Documents": "Documents", "Documents: none yet. Add files to begin": "Aucun document : ajoutez des fichiers pour commencer", "Add files": "Ajouter des fichiers",
    "Search titles": "Chercher un titre", "all": "tous", "Collection": "Collection", "main": "principale", "New…": "Nouvelle…",
    "Conversations": "Conversations", "New": "Nouvelle", "Conversation": "Conversation", "Source": "Source",
    "Close": "Fermer", "Rename": "Renommer", "Delete": "Supprimer", "Keep": "Garder", "Remove": "Retirer", "Send": "Envoyer", "Make": "Créer",
    "Remove a document": "Retirer un document", "from the index? The file itself stays where it is.": "de l’index ? Le fichier lui-même reste où il est.",
    "Your comment": "Votre commentaire", "Kept. A comment, if you like:": "C’est noté. Un commentaire, si vous voulez :", "Comment": "Commentaire",
    "New collection": "Nouvelle collection", "Its documents and conversations are apart from all others.": "Ses documents et ses conversations sont à part de tous les autres.",
    "letters, digits, - and _": "lettres, chiffres, - et _", "Name": "Nom", "Title": "Titre",
    "Why": "Pourquoi", "answers": "répond", "meaning": "sens", "words": "mots", "passage": "passage", "Right": "Juste",
    "Right passage, wrong answer": "Bon passage, mauvaise réponse", "Wrong": "Faux", "Reading the documents…": "Lecture des documents…",
    "The nearest passage, for you to judge:": "Le passage le plus proche, à vous d’en juger :", "Hide the page": "Masquer la page", "Show the page": "Montrer la page",
    "‹ Previous": "‹ Précédente", "Next ›": "Suivante ›", "This document is no longer indexed.": "Ce document n’est plus dans l’index.",
    "not borne out by the documents": "les documents ne le disent pas",
    "This quote is no longer in the documents.": "Cette citation n’est plus dans les documents.", "Files being added": "Fichiers en cours d’ajout",
  };
  const PATTERNS = [
    [/^Documents \((\d+) of (\d+)\)$/, "Documents ($1 sur $2)"], [/^Read as: /, "Lu comme : "], [/^Confidence (\d+%)/, "Confiance $1"],
    [/^It answers by (.*); an answer is given from (.*) on. Other words, or a document that says it, would change that.$/,
      "Il répond à $1 ; une réponse est donnée à partir de $2. D’autres mots, ou un document qui le dit, y changeraient quelque chose."],
    [/^(.*) is indexed already, under another name$/, "$1 est déjà dans l’index, sous un autre nom"], [/^(.*) is indexed already$/, "$1 est déjà dans l’index"],
    [/^(.*) is indexed$/, "$1 est dans l’index"], [/^(.*) replaces its earlier version$/, "$1 remplace sa version précédente"],
    [/^(.*) was not indexed$/, "$1 n’a pas été ajouté"], [/^(.*): waiting…$/, "$1 : en attente…"], [/^(.*): sending…$/, "$1 : envoi…"],
    [/^(.*): reading (.*)…$/, "$1 : lecture de $2…"], [/^(.*): embedding (.*), (\d+:\d+) left…$/, "$1 : indexation de $2, encore $3…"], [/^(.*): embedding (.*)…$/, "$1 : indexation de $2…"], [/^(.*) is empty$/, "$1 est vide"],
    [/^(.*) did not answer \((.*)\)\. This is the answer without it\.$/, "$1 n’a pas répondu ($2). Voici la réponse sans lui."],
    [/^No passage bears out what (.*) said\. This is the answer without it\.$/, "Aucun passage ne confirme ce que $1 a dit. Voici la réponse sans lui."],
    [/^Remove (.+)$/, "Retirer $1"], [/^Cancel (.+)$/, "Arrêter $1"], [/^Dismiss (.+)$/, "Masquer $1"], [/^Ask (.+)$/, "Interroger $1"],
    [/^Rename, export or delete (.+)$/, "Renommer, exporter ou supprimer $1"], [/^page (\d+)$/, "page $1"],
    [/ · the document has changed since: the quote was found again by its words$/, " · le document a changé : la citation a été retrouvée par ses mots"],
  ];
  const OURS = "#cite-header, #cite-library, #cite-threads, #cite-source header, #cite-page, #cite-question, dialog, .cite-why, .cite-label, .cite-feedback, .cite-asked, .cite-note, .cite-doubt, .cite-thinking";
  const THEIRS = "bdi, #cite-title, .cite-why td, blockquote, textarea";

  function french(text) {
    const bare = text.trim();
    if (!bare) return text;
    const found = WORDS[bare] ?? PATTERNS.reduce((said, [from, to]) => said === bare ? bare.replace(from, to) : said, bare);
    return text.replace(bare, () => found);
  }

  function translate(root) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      if (node.parentElement.closest(THEIRS)) continue;
      const said = french(node.data);
      if (said !== node.data) node.data = said;
    }
    for (const element of root.querySelectorAll("[aria-label], [placeholder]")) {
      for (const name of ["aria-label", "placeholder"]) {
        const given = element.getAttribute(name);
        if (given && french(given) !== given) element.setAttribute(name, french(given));
      }
    }
  }

  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      document.querySelectorAll(OURS).forEach(translate);
    });
  }).observe(document.documentElement, { childList: true, subtree: true, characterData: true });
})();
