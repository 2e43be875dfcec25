"""Japanese text to phones with pitch marks: the text front end of Open JTalk 1.11 (Oura, Sako and Tokuda; BSD licence),
written anew in Python.

    piece of text -> morphemes (`lattice`, `dictionary`) -> spoken words (`words`, `numbers`)
                  -> accent phrases (`accents`) -> phones and pitch marks (`prosody`)

It gives what pyopenjtalk 0.4.1 gives with the NAIST Japanese dictionary as Open JTalk 1.11 compiles it, which is what
the official models were trained with. That dictionary lies in `text/data` (see `pack`), so nothing is downloaded and
no compiled library is needed. Devoiced vowels are not marked: the models do not tell them apart.
"""
