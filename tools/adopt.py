from reid_srdl.commands import main
main("adopt")
